"""A frame with the objects that are followed, the border and the counts drawn over it."""

from __future__ import annotations

import cv2
import numpy as np

from inference_core.contract.pipeline import Place, Track
from inference_core.contract.results import BoxResult, Counts, StageResult
from inference_core.picture import Picture

_YELLOW, _BLACK = (0, 220, 255), (0, 0, 0)
_FONT = cv2.FONT_HERSHEY_SIMPLEX


def draw_followed(picture: Picture, result: StageResult, track: Track) -> Picture:
    """A copy of the picture; an object keeps its colour from frame to frame."""
    canvas = picture.copy()
    for box in result.boxes:
        _draw_box(canvas, box)
    if track.line is not None:
        _draw_border(canvas, track.line, is_closed=False)
    if track.zone is not None:
        _draw_border(canvas, track.zone, is_closed=True)
    if result.counts is not None:
        _write(canvas, _describe(result.counts), (8, 22), _YELLOW, 0.6)
    return canvas


def _draw_box(canvas: Picture, box: BoxResult) -> None:
    left, top, right, bottom = (round(side) for side in box.xyxy)
    colour = _colour_of(box.track_id)
    cv2.rectangle(canvas, (left, top), (right, bottom), colour, 2)
    name = "?" if box.track_id is None else str(box.track_id)
    _write(canvas, f"{name} {box.label} {box.score:.2f}", (left, max(top - 4, 12)), colour, 0.4)


def _draw_border(canvas: Picture, places: tuple[Place, ...], *, is_closed: bool) -> None:
    height, width = canvas.shape[:2]
    points = np.rint(np.array(places) * (width, height)).astype(np.int32).reshape(-1, 1, 2)
    cv2.polylines(canvas, [points], is_closed, _YELLOW, 2, cv2.LINE_AA)


def _describe(counts: Counts) -> str:
    told = (("entered", counts.entered), ("left", counts.left), ("inside", counts.inside))
    parts = [f"{word} {count} {label}" for word, by in told for label, count in by.items()]
    return ", ".join(parts) or "nothing counted"


def _colour_of(number: int | None) -> tuple[int, int, int]:
    """Far apart for neighbours: steps of the golden angle round the hues."""
    if number is None:
        return 160, 160, 160
    hue = np.array([[[number * 69 % 180, 200, 255]]], np.uint8)
    blue, green, red = cv2.cvtColor(hue, cv2.COLOR_HSV2BGR)[0, 0].tolist()
    return blue, green, red


def _write(
    canvas: Picture, text: str, place: tuple[int, int], colour: tuple[int, int, int], size: float
) -> None:
    """A dark rim keeps the text readable on any surface. The font knows ASCII only."""
    readable = text.encode("ascii", "replace").decode()[:200]
    cv2.putText(canvas, readable, place, _FONT, size, _BLACK, 3, cv2.LINE_AA)
    cv2.putText(canvas, readable, place, _FONT, size, colour, 1, cv2.LINE_AA)
