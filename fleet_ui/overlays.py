"""What a model found, as shapes to lay over the picture."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import ValidationError

from inference_core.contract.results import FrameResult, Point


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
    """Regions and text lines of all stages."""
    return Overlay(result.width, result.height, tuple(_shapes(result)))


def _shapes(result: FrameResult) -> Iterable[Shape]:
    room = result.width / 26
    for stage in result.stages:
        for region in stage.regions:
            outline = region.polygon or _box(region.xyxy)
            label = region.label.replace("_", " ")
            yield _shape("region", outline, f"{label} {region.score:.0%}", room)
        for line in stage.lines:
            yield _shape("text-line", line.polygon, f"“{line.text}” {line.score:.0%}", room)


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
