"""Which box shows which object: the cheapest assignment, and what no assignment may do."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment

from inference_core.tracking.motion import measure_surprise
from inference_core.tracking.objects import Floats, Objects, Rows, boxes_of

_LEAST_IOU_SURE = 0.2
_LEAST_IOU_UNSURE = 0.5
"""Zhang et al., 2022: a box of low score must lie where the object is expected."""
_OTHER_CLASS = 0.15
"""A box of another class is the same object only where nothing speaks for another."""
_SURPRISE = 9.21
"""99 % of chi-squared with 2 degrees of freedom."""
_SIZE_RATIO = 2.0


def match_overlap(
    objects: Objects, xyxy: Floats, class_id: Rows, *, is_sure: bool
) -> tuple[Rows, Rows]:
    """Rows and boxes that belong together because they overlap where the object is expected."""
    limit = 1 - (_LEAST_IOU_SURE if is_sure else _LEAST_IOU_UNSURE)
    iou = measure_iou(boxes_of(objects), xyxy)
    cost = 1 - iou + _OTHER_CLASS * (objects["class_id"][:, None] != class_id)
    cost[iou <= 0] = np.inf
    return _assign(cost, limit)


def match_reach(objects: Objects, xyxy: Floats, class_id: Rows) -> tuple[Rows, Rows]:
    """Rows and boxes that do not overlap, but lie within reach of what is known of the speed.

    An object seen once may be fast: its second sighting need not overlap the first.
    """
    centre, size = (xyxy[:, :2] + xyxy[:, 2:]) / 2, xyxy[:, 2:] - xyxy[:, :2]
    cost = measure_surprise(objects, centre)
    ratio = np.log(objects["size"][:, None, :] / np.maximum(size, 1e-9)[None])
    cost[(np.abs(ratio) > np.log(_SIZE_RATIO)).any(axis=2)] = np.inf
    cost[objects["class_id"][:, None] != class_id] = np.inf
    return _assign(cost, _SURPRISE)


def measure_iou(some: Floats, others: Floats) -> Floats:
    """N×K intersection over union of ``xyxy`` boxes; 0 where a box is empty."""
    common = _overlap(some, others, 0) * _overlap(some, others, 1)
    union = _measure_area(some)[:, None] + _measure_area(others)[None] - common
    return np.divide(common, union, out=np.zeros_like(common), where=union > 0)


def _overlap(some: Floats, others: Floats, axis: int) -> Floats:
    """N×K lengths on one axis; two axes at once would walk memory in steps of two."""
    length: Floats = np.minimum(some[:, None, axis + 2], others[None, :, axis + 2])
    length -= np.maximum(some[:, None, axis], others[None, :, axis])
    return np.maximum(length, 0, out=length)


def _measure_area(xyxy: Floats) -> Floats:
    area: Floats = (xyxy[:, 2] - xyxy[:, 0]) * (xyxy[:, 3] - xyxy[:, 1])
    return area


def _assign(cost: Floats, limit: float) -> tuple[Rows, Rows]:
    """The assignment of least cost, where leaving a pair apart costs ``limit``."""
    rows, columns = linear_sum_assignment(np.minimum(cost, limit))
    kept = cost[rows, columns] < limit
    return rows[kept], columns[kept]
