"""Finished boxes, scores and class numbers in three outputs, as torchvision and TensorFlow do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from inference_core.contract.decoders import ListedDecoder
from inference_core.contract.manifest import ModelManifest
from inference_core.decode.boxes import finish, to_pixels
from inference_core.decode.scores import choose_listed
from inference_core.decode.shapes import decoder_of, read_list, read_table
from inference_core.image import Transform
from inference_core.results import Boxes


def decode(
    outputs: Mapping[str, NDArray[Any]], manifest: ModelManifest, transform: Transform
) -> Boxes:
    """The entries over their thresholds; the rest is filling. Raises ``DecodeFailed``."""
    decoder = decoder_of(manifest, ListedDecoder)
    boxes = outputs[decoder.boxes_output]
    batched = boxes[None] if boxes.ndim == 2 else boxes
    places = read_table(decoder.boxes_output, batched, 4, why="a box")
    score = read_list(decoder.scores_output, outputs[decoder.scores_output], len(places))
    number = read_list(decoder.classes_output, outputs[decoder.classes_output], len(places))
    chosen = choose_listed(score, number, decoder, first_class=decoder.first_class)
    xyxy = to_pixels(places[chosen.row], decoder.box_format, decoder.unit, manifest)
    return finish(chosen, xyxy, manifest, transform)
