"""What a model found, as shapes to lay over the picture."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import ValidationError

from inference_core.contract.results import (
    FrameResult,
    Point,
    StageResult,
    TextBoxResult,
    TextLineResult,
)


@dataclass(frozen=True)
class Shape:
    """An outline with its caption; ``points`` is SVG, in pixels of the frame."""

    kind: str
    points: str
    caption: str
    x: float
    y: float
    anchor: str


@dataclass(frozen=True)
class Overlay:
    """The shapes of one frame, with sizes that read well at any resolution."""

    width: int
    height: int
    shapes: tuple[Shape, ...]

    @property
    def font_px(self) -> float:
        """Height of the captions in pixels of the frame."""
        return round(self.width / 32, 1)

    @property
    def stroke_px(self) -> float:
        """Width of the outlines in pixels of the frame."""
        return round(self.width / 260, 2)

    @property
    def halo_px(self) -> float:
        """Width of the dark line under an outline, which keeps it visible on any picture."""
        return round(self.stroke_px * 2.4, 2)


def read_result(body: object) -> FrameResult | None:
    """The stored result; None where a newer device wrote what this server cannot read."""
    try:
        return FrameResult.model_validate(body)
    except ValidationError:
        return None


def overlay_of(result: FrameResult) -> Overlay:
    """What all stages found, as far as it has a place."""
    return overlay_of_stages(result.stages, result.width, result.height)


def overlay_of_stages(stages: Iterable[StageResult], width: int, height: int) -> Overlay:
    """The same for stages that come without a frame's result."""
    room = width / 26
    shapes = tuple(shape for stage in stages for shape in _shapes(stage, room))
    return Overlay(width, height, shapes)


def _shapes(stage: StageResult, room: float) -> Iterable[Shape]:
    for region in stage.regions:
        outline = region.polygon or _box(region.xyxy)
        yield _shape("region", outline, _caption(region.label, region.score), room)
    for box in stage.boxes:
        yield _shape("box", _box(box.xyxy), _caption(box.label, box.score), room)
    for line in filter(_has_outline, stage.lines):
        yield _shape("text-line", line.polygon, f"“{line.text}” {line.score:.0%}", room)
    for place in filter(_has_outline, stage.text_boxes):
        yield _shape("text-line", place.polygon, f"{place.score:.0%}", room)


def _has_outline(place: TextLineResult | TextBoxResult) -> bool:
    return bool(place.polygon)


def _caption(label: str, score: float) -> str:
    return f"{label.replace('_', ' ')} {score:.0%}"


def _shape(kind: str, outline: tuple[Point, ...], caption: str, room: float) -> Shape:
    left, top = (min(values) for values in zip(*outline, strict=True))
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in outline)
    # Above the shape, or below the edge of the picture where there is no room above.
    y = top - room / 4 if top > room else top + room
    right = max(x for x, _ in outline)
    is_far = left > 16 * room
    x, anchor = (right, "end") if is_far else (left, "start")
    return Shape(kind, points, caption, round(x, 1), round(y, 1), anchor)


def _box(xyxy: tuple[float, float, float, float]) -> tuple[Point, ...]:
    left, top, right, bottom = xyxy
    return ((left, top), (right, top), (right, bottom), (left, bottom))
