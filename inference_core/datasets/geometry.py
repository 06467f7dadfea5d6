"""Boxes and outlines from strangers: finite, inside their picture, with an area."""

from __future__ import annotations

import math
from collections.abc import Sequence

from inference_core.datasets.files import ImageFile
from inference_core.datasets.labelled import LabelledObject, Ring, Xyxy, bound
from inference_core.datasets.problem import DatasetError, Notes

MAX_POINTS = 100_000
_SLACK_PX = 1e-6
"""What lies outside by less is a rounding of shares or sums, not a mistake to tell of."""


def parse_number(text: str, where: str) -> float:
    """A finite number; ``DatasetError`` for anything else."""
    try:
        number = float(text)
    except ValueError as error:
        raise DatasetError(f"{where}: {text[:40]!r} is no number") from error
    if not math.isfinite(number):
        raise DatasetError(f"{where}: {text[:40]!r} is no finite number")
    return number


def parse_whole(text: str, where: str) -> int:
    """A whole number of at most nine digits; ``DatasetError`` for anything else."""
    digits = text.strip()
    if not digits.isascii() or not digits.removeprefix("-").isdigit() or len(digits) > 9:
        raise DatasetError(f"{where}: {text[:40]!r} is no whole number")
    return int(digits)


class Frame:
    """Cuts what reaches beyond one picture, and tells of it."""

    def __init__(self, file: ImageFile, notes: Notes) -> None:
        self._width, self._height = float(file.width), float(file.height)
        self._notes = notes

    def cut_box(self, xyxy: Xyxy, where: str) -> Xyxy | None:
        """The part inside the picture; None, and told, where it has no area."""
        x0, y0, x1, y1 = xyxy
        inside = (self._clip_x(x0), self._clip_y(y0), self._clip_x(x1), self._clip_y(y1))
        if inside[2] <= inside[0] or inside[3] <= inside[1]:
            self._notes.tell("boxes without an area in their picture were left out", where)
            return None
        if max(abs(a - b) for a, b in zip(xyxy, inside, strict=True)) > _SLACK_PX:
            self._notes.tell("boxes reached beyond their picture and were cut", where)
        return inside

    def cut_ring(self, points: Sequence[tuple[float, float]], where: str) -> Ring | None:
        """Points outside are moved to the border; None, and told, where no area is left."""
        if len(points) > MAX_POINTS:
            raise DatasetError(f"{where}: an outline of {len(points)} points, over {MAX_POINTS}")
        open_points = points[:-1] if len(points) > 3 and points[0] == points[-1] else points
        ring = tuple((self._clip_x(x), self._clip_y(y)) for x, y in open_points)
        if len(ring) < 3 or not _has_area(ring):
            self._notes.tell("outlines without an area in their picture were left out", where)
            return None
        moved = max(
            max(abs(x - a), abs(y - b)) for (x, y), (a, b) in zip(open_points, ring, strict=True)
        )
        if moved > _SLACK_PX:
            self._notes.tell("outlines reached beyond their picture and were cut", where)
        return ring

    def make_outlined(
        self, label: str, outlines: Sequence[Sequence[tuple[float, float]]], where: str
    ) -> LabelledObject | None:
        """An object from its polygons; None where nothing is left of them."""
        cut = [self.cut_ring(points, where) for points in outlines]
        rings = tuple(ring for ring in cut if ring is not None)
        return LabelledObject(label, bound(rings), rings) if rings else None

    def _clip_x(self, x: float) -> float:
        return min(max(x, 0.0), self._width)

    def _clip_y(self, y: float) -> float:
        return min(max(y, 0.0), self._height)


def measure_area(ring: Ring) -> float:
    """Signed area of a polygon (shoelace formula); positive where it runs clockwise on a screen."""
    return (
        sum(
            x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in zip(ring, (*ring[1:], ring[0]), strict=True)
        )
        / 2
    )


def _has_area(ring: Ring) -> bool:
    x0, y0, x1, y1 = bound([ring])
    return x1 > x0 and y1 > y0
