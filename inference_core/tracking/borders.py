"""A line or the rim of a zone: on which side a point lies, how deep, and where it went through.

Pictures have x to the right and y down. Whoever walks along a line that is drawn from left to
right in the picture has its upper part on the left hand.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from inference_core.contract.pipeline import Track
from inference_core.tracking.objects import Claims, Floats


class Border(Protocol):
    """What objects cross."""

    @property
    def has_inside(self) -> bool:
        """True where objects can be in it."""

    @property
    def widest_margin_px(self) -> float:
        """A wider margin for trembling would let nobody settle on the other side."""

    def measure_depth(self, points: Floats) -> Floats:
        """Pixels to the border of N×2 points: positive left or inside, else negative."""

    def lies_on_path(self, before: Floats, now: Floats) -> Claims:
        """True where the straight way between N×2 points, on two sides, leads through it."""


@dataclass(frozen=True)
class Line:
    """From its first point to its second; beyond them nothing is crossed."""

    first: Floats
    second: Floats
    has_inside = False
    widest_margin_px = float("inf")

    def measure_depth(self, points: Floats) -> Floats:
        """Distance to the line, extended; positive on the left hand."""
        along = self.second - self.first
        away = points - self.first
        cross: Floats = away[:, 0] * along[1] - away[:, 1] * along[0]
        return cross / float(np.hypot(*along))

    def lies_on_path(self, before: Floats, now: Floats) -> Claims:
        """True where the way meets the line between its two points, these included."""
        depth_before, depth = self.measure_depth(before), self.measure_depth(now)
        gap = depth_before - depth
        share = np.divide(depth_before, gap, out=np.zeros_like(gap), where=gap != 0)
        meeting = before + share[:, None] * (now - before)
        along = self.second - self.first
        place = (meeting - self.first) @ along / (along @ along)
        inside: Claims = (place >= 0) & (place <= 1)
        return inside


@dataclass(frozen=True)
class Zone:
    """A polygon, closed from its last point to its first."""

    corners: Floats
    has_inside = True

    @property
    def widest_margin_px(self) -> float:
        """Half of area ÷ girth: less than half of the deepest place, so that one can be inside."""
        following = np.roll(self.corners, -1, axis=0)
        twice_area = self.corners[:, 0] @ following[:, 1] - self.corners[:, 1] @ following[:, 0]
        girth = np.hypot(*(following - self.corners).T).sum()
        return float(abs(twice_area) / 4 / girth) if girth else 0.0

    def measure_depth(self, points: Floats) -> Floats:
        """Distance to the nearest edge; positive inside, by the even-odd rule."""
        edge = np.roll(self.corners, -1, axis=0) - self.corners
        away = points[:, None, :] - self.corners[None]
        length = np.maximum((edge**2).sum(axis=1), 1e-12)
        share = np.clip((away * edge).sum(axis=2) / length, 0, 1)
        distance = np.hypot(*np.moveaxis(away - share[..., None] * edge, 2, 0)).min(axis=1)
        depth: Floats = np.where(self._holds(away, edge), distance, -distance)
        return depth

    def lies_on_path(self, before: Floats, now: Floats) -> Claims:
        """Always: whoever changes from outside to inside goes through the rim."""
        del before
        return np.ones(len(now), dtype=np.bool_)

    @staticmethod
    def _holds(away: Floats, edge: Floats) -> Claims:
        """How often a ray to the right meets an edge: an odd number means inside."""
        begins_above, ends_above = away[..., 1] < 0, away[..., 1] < edge[:, 1]
        cross = away[..., 0] * edge[:, 1] - away[..., 1] * edge[:, 0]
        meets = (begins_above != ends_above) & ((cross < 0) == (edge[:, 1] > 0))
        odd: Claims = meets.sum(axis=1) % 2 == 1
        return odd


def make_border(track: Track, frame_size: tuple[int, int]) -> Border:
    """The border of ``track`` in pixels of a frame of width and height ``frame_size``."""
    if track.line is not None:
        first, second = np.array(track.line, dtype=np.float64) * frame_size
        return Line(first, second)
    return Zone(np.array(track.zone, dtype=np.float64) * frame_size)
