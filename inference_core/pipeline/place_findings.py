"""What a rule may ask of stages that find places: regions, boxes, anomalies, places of text."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from inference_core.contract.results import BoxResult, Counts, Polygon, RegionResult
from inference_core.pipeline.questions import Findings, Unanswerable, least_sure, surest


class RegionFindings(Findings):
    """The regions of a segmentation stage, as in ``defects.count('scratch') > 0``.

    Millimetres need the camera's scale. Without it they are unanswerable on every frame, so a
    forgotten scale is seen on the first part and not on the first defect.
    """

    QUESTIONS = Findings.QUESTIONS | {
        "count", "largest_px", "largest_mm2", "total_mm2", "longest_mm", "score", "confidence",
    }  # fmt: skip

    def count(self, label: str | None = None) -> int:
        """How many regions there are, of all classes or of one."""
        return self._count(self._result.regions, label)

    @property
    def largest_px(self) -> float:
        """Area of the largest region in pixels of the frame; 0 where there is none."""
        return max((region.area_px for region in self._result.regions), default=0.0)

    @property
    def largest_mm2(self) -> float:
        """Area of the largest region; 0 where there is none."""
        return max(self._measure(lambda region: region.area_mm2), default=0.0)

    @property
    def total_mm2(self) -> float:
        """Area of all regions together."""
        return sum(self._measure(lambda region: region.area_mm2))

    @property
    def longest_mm(self) -> float:
        """Length of the longest region; 0 where there is none."""
        return max(self._measure(lambda region: region.length_mm), default=0.0)

    @property
    def score(self) -> float:
        """Score of the surest region; 0 where there is none."""
        return surest(self._result.regions)

    @property
    def confidence(self) -> float:
        """Score of the least sure region; 0 where there is none."""
        return least_sure(self._result.regions)

    def _measure(self, measure: Callable[[RegionResult], float | None]) -> list[float]:
        if self._mm_per_px is None:
            raise Unanswerable("the camera has no mm_per_px, so nothing has millimetres")
        lengths = (measure(region) for region in self._result.regions)
        return [length for length in lengths if length is not None]


class AnomalyFindings(RegionFindings):
    """How unlike the good parts the picture is, and where, as in ``surface.score > 0.5``."""

    @property
    def score(self) -> float:
        """Of the picture, 0 to 1; 0 where the stage did not run."""
        return self._result.anomaly_score or 0.0

    @property
    def confidence(self) -> float:
        """How sure it is either way: 1 for a picture surely good or surely not, 0.5 at worst."""
        return max(self.score, 1.0 - self.score) if self.ran else 0.0


class BoxFindings(Findings):
    """The objects of a detector, as in ``screws.count('screw') != 4``.

    A stage with ``track`` also counts: ``screws.entered('screw')``.
    """

    QUESTIONS = Findings.QUESTIONS | {
        "count", "label", "score", "confidence", "largest_px", "entered", "left", "inside",
    }  # fmt: skip

    def count(self, label: str | None = None) -> int:
        """How many objects are in the frame, of all classes or of one."""
        return self._count(self._result.boxes, label)

    @property
    def label(self) -> str:
        """Class of the surest object; empty where there is none."""
        return max(self._result.boxes, key=lambda box: box.score).label if self.count() else ""

    @property
    def score(self) -> float:
        """Score of the surest object; 0 where there is none."""
        return surest(self._result.boxes)

    @property
    def confidence(self) -> float:
        """Score of the least sure object; 0 where there is none."""
        return least_sure(self._result.boxes)

    @property
    def largest_px(self) -> float:
        """Area of the largest box in pixels of the frame; 0 where there is none."""
        return max((_area(box) for box in self._result.boxes), default=0.0)

    def entered(self, label: str | None = None) -> int:
        """How many came over the line or into the zone since the stage began."""
        return self._sum(self._counts.entered, label)

    def left(self, label: str | None = None) -> int:
        """How many went the other way."""
        return self._sum(self._counts.left, label)

    def inside(self, label: str | None = None) -> int:
        """How many are in the zone now."""
        return self._sum(self._counts.inside, label)

    @property
    def _counts(self) -> Counts:
        if self._result.counts is None:
            raise Unanswerable(f"stage {self._result.stage!r} does not count: give it `track`")
        return self._result.counts

    def _sum(self, counted: dict[str, int], label: str | None) -> int:
        self._require(label)
        return sum(counted.values()) if label is None else counted.get(label, 0)


class TextBoxFindings(Findings):
    """The places where text stands, as in ``places.count() < 2``."""

    QUESTIONS = Findings.QUESTIONS | {"count", "score", "confidence", "largest_px"}

    def count(self) -> int:
        """How many places there are."""
        return len(self._result.text_boxes)

    @property
    def score(self) -> float:
        """Score of the surest place; 0 where there is none."""
        return surest(self._result.text_boxes)

    @property
    def confidence(self) -> float:
        """Score of the least sure place; 0 where there is none."""
        return least_sure(self._result.text_boxes)

    @property
    def largest_px(self) -> float:
        """Area of the largest place in pixels of the frame; 0 where there is none."""
        return max((_polygon_area(box.polygon) for box in self._result.text_boxes), default=0.0)


def _area(box: BoxResult) -> float:
    left, top, right, bottom = box.xyxy
    return (right - left) * (bottom - top)


def _polygon_area(polygon: Polygon) -> float:
    """The shoelace formula."""
    x, y = np.array(polygon, dtype=np.float64).reshape(-1, 2).T
    return float(abs(x @ np.roll(y, 1) - y @ np.roll(x, 1))) / 2
