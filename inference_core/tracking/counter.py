"""Counts crossings once each, however long an object trembles on the border.

An object has crossed when the centre of its box is a tenth of its side beyond the border, and
only then may it cross back. So an object that turns back before that counts for nothing; one that
goes over and comes back counts once each way, and ``entered - left`` stays true of the place.
"""

from __future__ import annotations

import numpy as np

from inference_core.contract.results import Counts
from inference_core.tracking.borders import Border
from inference_core.tracking.objects import Objects, Rows

_MARGIN = 0.1
"""In sides of the object; a steady detector trembles by a few hundredths."""


class Counter:
    """Cumulative counts by label; survives everything that a tracker forgets."""

    def __init__(self, labels: tuple[str, ...]) -> None:
        self._labels = labels
        self._entered = np.zeros(len(labels), dtype=np.int64)
        self._left = np.zeros(len(labels), dtype=np.int64)

    def count(self, objects: Objects, rows: Rows, border: Border) -> None:
        """Looks at the objects of ``rows``, seen in this frame; writes ``side`` of each."""
        seen = objects[rows]
        depth = border.measure_depth(seen["point"])
        side = np.where(depth > 0, 1, -1)
        turned = side != np.where(border.measure_depth(seen["point_before"]) > 0, 1, -1)
        through = border.lies_on_path(seen["point_before"], seen["point"])
        passed = np.where(turned, through, seen["passed_through"])
        margin = np.minimum(_MARGIN * seen["size"].mean(axis=1), border.widest_margin_px)
        settled = np.abs(depth) >= margin
        crossed = settled & (seen["side"] == -side) & passed
        np.add.at(self._entered, seen["class_id"][crossed & (side > 0)], 1)
        np.add.at(self._left, seen["class_id"][crossed & (side < 0)], 1)
        objects["passed_through"][rows] = passed
        objects["side"][rows] = np.where(settled | (seen["side"] == 0), side, seen["side"])

    def tell(self, objects: Objects, border: Border) -> Counts:
        """All counts so far, and who is inside a zone now, also if unseen for a moment."""
        inside = np.zeros(len(self._labels), dtype=np.int64)
        if border.has_inside:
            known = objects[(objects["side"] > 0) & (objects["number"] > 0)]
            np.add.at(inside, known["class_id"], 1)
        return Counts(
            entered=self._name(self._entered),
            left=self._name(self._left),
            inside=self._name(inside),
        )

    def _name(self, counts: Rows) -> dict[str, int]:
        return {self._labels[index]: int(counts[index]) for index in np.flatnonzero(counts)}
