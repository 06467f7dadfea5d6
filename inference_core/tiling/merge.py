"""What several tiles found, as if the model had looked at the whole frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from inference_core.contract.decoders import BoxDecoder, Decoder
from inference_core.errors import BadInput
from inference_core.picture import Window
from inference_core.results import Anomaly, Boxes, Found, Regions, TextBoxes
from inference_core.tiling.boxes import merge_boxes
from inference_core.tiling.regions import merge_regions
from inference_core.tiling.text import merge_text_boxes

Kind = TypeVar("Kind", Boxes, Regions, TextBoxes, Anomaly)


def merge_found(parts: Sequence[tuple[Window, Found]], decoder: Decoder) -> Found:
    """The tiles' findings, all in frame pixels, as one; nothing is counted twice.

    Raises ``BadInput`` for what has no place in the frame: classes and text lines.
    """
    if not parts:
        raise BadInput("there are no tiles to merge")
    first = parts[0][1]
    if isinstance(first, Boxes) and isinstance(decoder, BoxDecoder):
        return merge_boxes(_all_of(Boxes, parts), decoder)
    if isinstance(first, Regions):
        return merge_regions(_all_of(Regions, parts))
    if isinstance(first, TextBoxes):
        return merge_text_boxes(_all_of(TextBoxes, parts))
    if isinstance(first, Anomaly):
        found = _all_of(Anomaly, parts)
        regions = merge_regions([(window, anomaly.regions) for window, anomaly in found])
        return Anomaly(max(anomaly.score for _, anomaly in found), regions)
    raise BadInput(f"a model with the decoder {decoder.kind!r} cannot look at tiles")


def _all_of(kind: type[Kind], parts: Sequence[tuple[Window, Found]]) -> list[tuple[Window, Kind]]:
    chosen = [(window, found) for window, found in parts if isinstance(found, kind)]
    if len(chosen) < len(parts):
        raise BadInput("the tiles found different kinds of things")
    return chosen
