"""SSD: decoded boxes and scores in two outputs (Liu et al., ECCV 2016), before NMS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference_core.contract.decoders import SsdDecoder
from inference_core.contract.manifest import ModelManifest
from inference_core.decode.activation import activate
from inference_core.decode.boxes import finish, to_pixels
from inference_core.decode.scores import Chosen, choose_each
from inference_core.decode.shapes import Table, decoder_of, read_table, require_length
from inference_core.errors import DecodeFailed
from inference_core.image import Transform
from inference_core.results import Boxes


def decode(
    outputs: Mapping[str, NDArray[Any]], manifest: ModelManifest, transform: Transform
) -> Boxes:
    """Each class of each place for itself. Raises ``DecodeFailed``."""
    decoder = decoder_of(manifest, SsdDecoder)
    boxes = read_table(
        decoder.boxes_output, _flatten(outputs[decoder.boxes_output]), 4, why="a box"
    )
    scores = _read_scores(outputs, decoder)
    require_length(decoder.scores_output, scores, len(boxes))
    chosen = _choose(scores, decoder)
    xyxy = to_pixels(boxes[chosen.row], decoder.box_format, decoder.unit, manifest)
    return finish(chosen, xyxy, manifest, transform)


def _choose(scores: Table, decoder: SsdDecoder) -> Chosen:
    if decoder.activation == "softmax":
        chosen = choose_each(activate(scores, "softmax", axis=1), decoder)
    else:
        chosen = choose_each(scores, decoder, decoder.activation)
    if decoder.background is None:
        return chosen
    (objects,) = np.nonzero(chosen.class_id != decoder.background)
    return Chosen(chosen.row[objects], chosen.class_id[objects], chosen.score[objects])


def _flatten(boxes: NDArray[Any]) -> NDArray[Any]:
    """1×N×1×4, as TensorFlow's detectors share one box between classes, is 1×N×4."""
    return boxes[:, :, 0] if boxes.ndim == 4 and boxes.shape[2] == 1 else boxes


def _read_scores(outputs: Mapping[str, NDArray[Any]], decoder: SsdDecoder) -> Table:
    classes, name = len(decoder.labels), decoder.scores_output
    if decoder.background is not None and decoder.background >= classes:
        raise DecodeFailed(f"background is column {decoder.background} of {classes} labels")
    return read_table(name, outputs[name], classes, why=f"a decoder of {classes} labels")
