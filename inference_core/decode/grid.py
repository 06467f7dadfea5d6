"""Sides as distributions over bins (Li et al., Generalized Focal Loss, NeurIPS 2020): NanoDet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference_core.contract.decoders import GridDecoder, GridHead
from inference_core.contract.manifest import ModelManifest
from inference_core.decode.activation import activate
from inference_core.decode.boxes import finish
from inference_core.decode.scores import Chosen, choose_each
from inference_core.decode.shapes import decoder_of, read_table, require_length, show
from inference_core.errors import DecodeFailed
from inference_core.image import Transform
from inference_core.results import Boxes, Floats

_OUTWARD = np.array([-1.0, -1.0, 1.0, 1.0])
"""Sides are given as distances to the left, top, right and bottom."""


def decode(
    outputs: Mapping[str, NDArray[Any]], manifest: ModelManifest, transform: Transform
) -> Boxes:
    """Each class of each cell for itself. Raises ``DecodeFailed``."""
    decoder = decoder_of(manifest, GridDecoder)
    found = [_decode_head(head, outputs, decoder, manifest) for head in decoder.heads]
    chosen = Chosen(
        row=np.concatenate([part.row for part, _ in found]),
        class_id=np.concatenate([part.class_id for part, _ in found]),
        score=np.concatenate([part.score for part, _ in found]),
    )
    return finish(chosen, np.concatenate([xyxy for _, xyxy in found]), manifest, transform)


def _decode_head(
    head: GridHead,
    outputs: Mapping[str, NDArray[Any]],
    decoder: GridDecoder,
    manifest: ModelManifest,
) -> tuple[Chosen, Floats]:
    """What one stride finds, with its boxes in tensor pixels."""
    width, height = (-(-side // head.stride) for side in manifest.input_size)
    labels = len(decoder.labels)
    scores = read_table(head.scores, outputs[head.scores], labels, why=f"{labels} labels")
    require_length(head.scores, scores, width * height)
    sides = _read_sides(head, outputs[head.sides], width * height)
    chosen = choose_each(scores, decoder, decoder.activation)
    cell = np.stack([chosen.row % width, chosen.row // width], axis=1) + decoder.centre
    middle = np.tile(cell * head.stride, 2)
    return chosen, middle + _OUTWARD * _expect(sides[chosen.row]) * head.stride


def _read_sides(head: GridHead, output: NDArray[Any], places: int) -> NDArray[Any]:
    bins, rest = divmod(output.shape[-1] if output.ndim == 3 else 0, 4)
    if not bins or rest or output.shape[:2] != (1, places):
        raise DecodeFailed(f"output {head.sides!r} is {show(output)}, not 1×{places}×(4·bins)")
    return np.asarray(output[0])


def _expect(sides: NDArray[Any]) -> Floats:
    """K×4 expected bins of K×(4·bins) scores."""
    bins = sides.shape[1] // 4
    share = activate(sides.reshape(-1, 4, bins), "softmax", axis=2)
    return np.asarray(share @ np.arange(bins, dtype=np.float64), dtype=np.float64)
