"""Pictures with what was found drawn over them."""

from __future__ import annotations

import cv2
import numpy as np

from inference_core.contract.results import BoxResult, Counts, FrameResult, Point, StageResult
from inference_core.contract.words import VerdictWord
from inference_core.picture import Picture

Colour = tuple[int, int, int]

_GREEN, _RED, _ORANGE, _GREY, _BLACK = (
    (80, 200, 80),
    (60, 60, 230),
    (0, 165, 255),
    (190, 190, 190),
    (0, 0, 0),
)
_PALETTE: tuple[Colour, ...] = (
    (80, 150, 250),
    (222, 168, 58),
    (98, 199, 103),
    (216, 117, 196),
    (71, 212, 232),
    (184, 201, 62),
    (122, 122, 240),
    (230, 145, 130),
    (90, 180, 160),
    (200, 200, 120),
)
"""BGR; bright enough for dark text on them, and apart also for the colour-blind."""
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_FONT_SCALE = 0.45
_BANNER_PX = 26
_LINE_PX = 20


def encode_jpeg(picture: Picture, quality: int = 92) -> bytes:
    """The picture as JPEG; quality from 1 to 100."""
    _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return data.tobytes()


def draw_result(picture: Picture, result: FrameResult, *, shows_verdict: bool = True) -> Picture:
    """A copy of the picture with what every stage found, and the verdict on top.

    Without ``shows_verdict`` a PASS, which nobody asked for, is not claimed; a FAIL is shown.

    A class has its colour in every picture. What belongs to the whole picture stands in lines
    below the verdict.
    """
    canvas = picture.copy()
    for stage in result.stages:
        _draw_stage(canvas, stage)
    passed = result.verdict is VerdictWord.PASS
    verdict = "" if passed and not shows_verdict else result.verdict.value.upper()
    if verdict:
        banner = " | ".join([verdict, *result.reasons])
        cv2.rectangle(canvas, (0, 0), (canvas.shape[1], _BANNER_PX), _BLACK, cv2.FILLED)
        _write(canvas, banner, (6, _BANNER_PX - 8), _GREEN if passed else _RED)
    notes = [note for stage in result.stages for note in _describe(stage)]
    for row, (note, colour) in enumerate(notes):
        _write(canvas, note, (6, _BANNER_PX + _LINE_PX * (row + 1)), colour)
    return canvas


def _draw_stage(canvas: Picture, stage: StageResult) -> None:
    for region in stage.regions:
        area = "" if region.area_mm2 is None else f" {region.area_mm2:.1f} mm2"
        _outline(canvas, region.polygon, _RED)
        x, y = int(region.xyxy[0]), int(region.xyxy[1])
        _write(canvas, f"{region.label} {region.score:.2f}{area}", (x, max(y - 4, 12)), _RED)
    for text_box in stage.text_boxes:
        _outline(canvas, text_box.polygon, _ORANGE, thickness=1)
    for line in stage.lines:
        _outline(canvas, line.polygon, _ORANGE)
        below_left = max(line.polygon, key=lambda point: point[1] - point[0], default=(0.0, 0.0))
        place = int(below_left[0]), int(below_left[1]) + 14
        _write(canvas, f"{line.text} {line.score:.2f}", place, _ORANGE)
    # The surest last, so that it lies on top.
    for box in sorted(stage.boxes, key=lambda box: box.score):
        _draw_box(canvas, box)


def _draw_box(canvas: Picture, box: BoxResult) -> None:
    """A frame in the colour of its class, its label on a plate of that colour.

    An object that is followed has a colour of its own instead, and keeps it.
    """
    hue = box.class_id if box.track_id is None else box.track_id
    colour = _PALETTE[hue % len(_PALETTE)]
    x0, y0, x1, y1 = (round(side) for side in box.xyxy)
    cv2.rectangle(canvas, (x0, y0), (x1, y1), colour, 2)
    number = "" if box.track_id is None else f"#{box.track_id} "
    text = f"{number}{box.label} {box.score:.2f}"
    baseline = y0 - 5 if y0 - _LINE_PX >= _BANNER_PX else y0 + _LINE_PX - 5
    _write(canvas, text, (x0 + 2, baseline), _BLACK, plate=colour)


def _describe(stage: StageResult) -> list[tuple[str, Colour]]:
    """What a stage says of the whole picture."""
    if stage.skipped:
        return [(f"{stage.stage}: not needed", _GREY)]
    if stage.fault is not None:
        return [(f"{stage.stage}: {stage.fault.value}", _RED)]
    notes = [
        (f"{stage.stage}: {name.label} {name.score:.2f}", _PALETTE[name.class_id % len(_PALETTE)])
        for name in stage.classes[:3]
    ]
    if stage.anomaly_score is not None:
        notes.append((f"{stage.stage}: anomaly {stage.anomaly_score:.2f}", _ORANGE))
    if stage.counts is not None:
        notes.append((f"{stage.stage}: {_describe_counts(stage.counts)}", _GREEN))
    return notes


def _describe_counts(counts: Counts) -> str:
    ways = (("entered", counts.entered), ("left", counts.left), ("inside", counts.inside))
    parts = [f"{way} {label} {count}" for way, of in ways for label, count in of.items() if count]
    return ", ".join(parts) or "nothing has crossed"


def _outline(
    canvas: Picture, polygon: tuple[Point, ...], colour: Colour, thickness: int = 2
) -> None:
    points = np.rint(np.array(polygon, dtype=np.float64).reshape(-1, 1, 2)).astype(np.int32)
    cv2.polylines(canvas, [points], isClosed=True, color=colour, thickness=thickness)


def _write(
    canvas: Picture,
    text: str,
    place: tuple[int, int],
    colour: Colour,
    plate: Colour = _BLACK,
) -> None:
    """Text on a plate, readable on any surface; moved to the left where it would leave the picture.

    The font knows ASCII only.
    """
    readable = text.encode("ascii", "replace").decode()[:200]
    (width, height), below = cv2.getTextSize(readable, _FONT, _FONT_SCALE, 1)
    x, y = max(min(place[0], canvas.shape[1] - width - 2), 2), place[1]
    cv2.rectangle(canvas, (x - 2, y - height - 2), (x + width + 2, y + below), plate, cv2.FILLED)
    cv2.putText(canvas, readable, (x, y), _FONT, _FONT_SCALE, colour, 1, cv2.LINE_AA)
