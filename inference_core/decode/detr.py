"""Set prediction: one object a query, no NMS (Carion et al., DETR, ECCV 2020, and its kin)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from inference_core.contract.decoders import DetrDecoder
from inference_core.contract.manifest import ModelManifest
from inference_core.decode.activation import activate
from inference_core.decode.boxes import finish, to_pixels
from inference_core.decode.scores import Chosen, choose_best, choose_each
from inference_core.decode.shapes import decoder_of, read_table, require_length
from inference_core.image import Transform
from inference_core.results import Boxes


def decode(
    outputs: Mapping[str, NDArray[Any]], manifest: ModelManifest, transform: Transform
) -> Boxes:
    """The queries over their thresholds. Raises ``DecodeFailed``.

    A softmax gives a query its likeliest class, whatever "no object" scores; other activations
    judge each class of each query for itself.
    """
    decoder = decoder_of(manifest, DetrDecoder)
    queries = read_table(decoder.boxes_output, outputs[decoder.boxes_output], 4, why="a box")
    chosen = _choose(outputs[decoder.scores_output], len(queries), decoder)
    xyxy = to_pixels(queries[chosen.row], "cxcywh", "share", manifest)
    return finish(chosen, xyxy, manifest, transform)


def _choose(output: NDArray[Any], queries: int, decoder: DetrDecoder) -> Chosen:
    name, labels = decoder.scores_output, len(decoder.labels)
    if decoder.activation == "softmax":
        why = f"a softmax over {labels} labels and no-object"
        scores = read_table(name, output, labels + 1, why=why)
        require_length(name, scores, queries)
        return choose_best(activate(scores, "softmax", axis=1)[:, :-1], decoder)
    scores = read_table(name, output, labels, why=f"a decoder of {labels} labels")
    require_length(name, scores, queries)
    return choose_each(scores, decoder, decoder.activation)
