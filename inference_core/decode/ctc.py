"""Greedy CTC: best path, repeats merged, blanks dropped (Graves 2006)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference_core.contract.decoders import CtcDecoder
from inference_core.contract.manifest import ModelManifest
from inference_core.decode.activation import Probabilities, activate
from inference_core.errors import BadInput, DecodeFailed
from inference_core.image import Transform
from inference_core.results import TextLines


def resolve_alphabet(manifest: ModelManifest, metadata: Mapping[str, str]) -> ModelManifest:
    """The manifest with its alphabet written out, so that no runtime needs the metadata.

    Other manifests come back as they are. Raises ``BadInput`` where the key is absent.
    """
    decoder = manifest.decoder
    if not isinstance(decoder, CtcDecoder) or _is_resolved(decoder):
        return manifest
    characters = decoder.alphabet
    if characters is None:
        characters = _read_alphabet(decoder.alphabet_key or "", metadata)
    if decoder.space_at_end:
        characters = (*characters, " ")
    resolved = {"alphabet": characters, "alphabet_key": None, "space_at_end": False}
    return manifest.model_copy(update={"decoder": decoder.model_copy(update=resolved)})


def decode(
    outputs: Mapping[str, NDArray[Any]], manifest: ModelManifest, transform: Transform
) -> TextLines:
    """One line from 1×T×K scores; nothing read is no line.

    Raises ``DecodeFailed`` where K is not the alphabet and the blank.
    """
    decoder = manifest.decoder
    if not isinstance(decoder, CtcDecoder) or decoder.alphabet is None or not _is_resolved(decoder):
        raise DecodeFailed("the manifest's alphabet is not resolved: call resolve_alphabet first")
    output, classes = outputs[decoder.output], len(decoder.alphabet) + 1
    if output.ndim != 3 or output.shape[0] != 1 or output.shape[2] != classes:
        raise DecodeFailed(f"CTC reads 1×T×{classes} for this alphabet, got {output.shape}")
    text, score = read_best_path(activate(output[0], decoder.activation, axis=1), decoder)
    lines = [(text, score)] if text else []
    return TextLines(
        text=tuple(text for text, _ in lines),
        score=np.array([score for _, score in lines], dtype=np.float64),
        polygons=tuple(_outline(transform) for _ in lines),
    )


def read_best_path(probabilities: Probabilities, decoder: CtcDecoder) -> tuple[str, float]:
    """Text and mean probability of its characters from T×K probabilities; ("", 0.0) for none."""
    best = probabilities.argmax(axis=1)
    starts = np.ones(len(best), dtype=bool)
    starts[1:] = best[1:] != best[:-1]
    (kept,) = np.nonzero(starts & (best != decoder.blank))
    if not kept.size:
        return "", 0.0
    characters = decoder.alphabet or ()
    places = np.where(best[kept] > decoder.blank, best[kept] - 1, best[kept])
    text = "".join(characters[place] for place in places)
    return text, float(probabilities[kept, best[kept]].mean())


def _is_resolved(decoder: CtcDecoder) -> bool:
    return decoder.alphabet is not None and not decoder.space_at_end


def _read_alphabet(key: str, metadata: Mapping[str, str]) -> tuple[str, ...]:
    """One character a line. Not ``splitlines``: an alphabet may hold other line separators."""
    if key not in metadata:
        raise BadInput(
            f"the model has no metadata {key!r} with its alphabet (it has {sorted(metadata)}); "
            "give `alphabet` in the manifest"
        )
    lines = metadata[key].removesuffix("\n").split("\n")
    return tuple(line.removesuffix("\r") for line in lines)


def _outline(transform: Transform) -> NDArray[np.float64]:
    x, y, width, height = transform.looked_at_xywh
    corners = [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]
    return np.array(corners, dtype=np.float64)
