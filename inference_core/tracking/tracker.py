"""From boxes to objects: sure boxes find known ones first, then unsure ones, then new ones.

Two-stage association after Zhang et al., ByteTrack, ECCV 2022, on a filter in true time.
"""

from __future__ import annotations

import numpy as np

from inference_core.results import Boxes
from inference_core.tracking import motion
from inference_core.tracking.matching import match_overlap, match_reach
from inference_core.tracking.objects import Claims, Floats, Rows, make_row_type, make_rows

_GRACE = 1.5
"""Frame intervals before an object counts as unseen: the next frame may come a little late."""


class Tracker:
    """Follows objects of one camera. What was not seen for ``max_missing_s`` is forgotten."""

    def __init__(self, max_missing_s: float, sure_score: float, classes: int) -> None:
        self._max_missing_s = max_missing_s
        self._sure_score = sure_score
        self._row_type = make_row_type(classes)
        self._last_number = 0
        self.forget()

    def forget(self) -> None:
        """Everything that comes is a new object. Numbers are not used again."""
        self.objects = make_rows(0, self._row_type)
        self._now_s: float | None = None
        self._interval_s = 0.0

    def follow(self, boxes: Boxes, captured_s: float) -> Rows:
        """For each box the row of ``objects`` that it shows, -1 for none."""
        self._move_to(captured_s)
        sure = boxes.score >= self._sure_score
        shown = np.full(len(boxes), -1, dtype=np.int64)
        is_known = self.objects["number"] > 0
        self._match(shown, boxes, sure, is_known)
        self._match(shown, boxes, ~sure, is_known, is_sure=False)
        self._match(shown, boxes, sure, ~is_known)
        self._reach(shown, boxes, sure)
        self._see(shown, boxes, captured_s)
        self._begin(shown, boxes, np.flatnonzero(sure & (shown < 0)), captured_s)
        return shown

    def _move_to(self, captured_s: float) -> None:
        """A time that runs backwards is a recording that began anew."""
        if self._now_s is not None and captured_s < self._now_s:
            self.forget()
        elapsed_s = 0.0 if self._now_s is None else captured_s - self._now_s
        limit_s = self._max_missing_s + _GRACE * self._interval_s
        alive = captured_s - self.objects["seen_s"] <= limit_s
        if not alive.all():
            self.objects = self.objects[alive]
        motion.predict(self.objects, elapsed_s)
        self._now_s, self._interval_s = captured_s, elapsed_s

    def _match(
        self, shown: Rows, boxes: Boxes, candidates: Claims, rows: Claims, *, is_sure: bool = True
    ) -> None:
        """Writes into ``shown`` which of the rows lie under the candidates that are left."""
        free = np.flatnonzero(rows & self._find_free(shown))
        which = np.flatnonzero(candidates & (shown < 0))
        if len(free) and len(which):
            found, taken = match_overlap(
                self.objects[free], boxes.xyxy[which], boxes.class_id[which], is_sure=is_sure
            )
            shown[which[taken]] = free[found]

    def _reach(self, shown: Rows, boxes: Boxes, candidates: Claims) -> None:
        free = np.flatnonzero(self._find_free(shown))
        which = np.flatnonzero(candidates & (shown < 0))
        if len(free) and len(which):
            found, taken = match_reach(self.objects[free], boxes.xyxy[which], boxes.class_id[which])
            shown[which[taken]] = free[found]

    def _find_free(self, shown: Rows) -> Claims:
        free = np.ones(len(self.objects), dtype=np.bool_)
        free[shown[shown >= 0]] = False
        return free

    def _see(self, shown: Rows, boxes: Boxes, captured_s: float) -> None:
        which = np.flatnonzero(shown >= 0)
        rows, (centre, size) = shown[which], _centre_and_size(boxes.xyxy[which])
        motion.correct(self.objects, rows, centre, size)
        objects = self.objects
        objects["point_before"][rows] = objects["point"][rows]
        objects["point"][rows] = centre
        objects["seen_s"][rows] = captured_s
        objects["sightings"][rows] += 1
        objects["votes"][rows, boxes.class_id[which]] += boxes.score[which]
        objects["class_id"][rows] = objects["votes"][rows].argmax(axis=1)
        self._give_numbers(rows)

    def _give_numbers(self, rows: Rows) -> None:
        """At the second sighting: one alone may be a fault of the detector."""
        unknown = rows[self.objects["number"][rows] == 0]
        self.objects["number"][unknown] = self._last_number + 1 + np.arange(len(unknown))
        self._last_number += len(unknown)

    def _begin(self, shown: Rows, boxes: Boxes, which: Rows, captured_s: float) -> None:
        if not len(which):
            return
        centre, size = _centre_and_size(boxes.xyxy[which])
        fresh = make_rows(len(which), self._row_type)
        motion.begin(fresh, centre, size)
        fresh["point"] = fresh["point_before"] = centre
        fresh["seen_s"], fresh["sightings"] = captured_s, 1
        fresh["class_id"] = boxes.class_id[which]
        fresh["votes"][np.arange(len(which)), boxes.class_id[which]] = boxes.score[which]
        shown[which] = len(self.objects) + np.arange(len(which))
        self.objects = np.concatenate([self.objects, fresh])


def _centre_and_size(xyxy: Floats) -> tuple[Floats, Floats]:
    return (xyxy[:, :2] + xyxy[:, 2:]) / 2, xyxy[:, 2:] - xyxy[:, :2]
