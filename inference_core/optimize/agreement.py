"""How much two models that should be one find the same, where nobody has labelled anything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from inference_core.results import Boxes, Classes, Floats, Found, Regions, TextBoxes, TextLines

_SAME_PLACE = 0.5
"""Intersection over union of two findings that are one."""


def measure_agreement(reference: Found, other: Found) -> float:
    """From 0 to 1: F1 of what was found at the same place under the same name.

    The same likeliest class is 1 for a classifier, the same text is 1 for a reader; for an
    anomaly it is 1 minus the difference of the scores. Nothing found by both is 1.
    """
    if isinstance(reference, Classes) and isinstance(other, Classes):
        return float(reference.class_id[:1].tolist() == other.class_id[:1].tolist())
    if isinstance(reference, TextLines) and isinstance(other, TextLines):
        return float(reference.text == other.text)
    if isinstance(reference, (Boxes, Regions)) and isinstance(other, (Boxes, Regions)):
        return _f1(reference.xyxy, reference.class_id, other.xyxy, other.class_id)
    if isinstance(reference, TextBoxes) and isinstance(other, TextBoxes):
        return _f1(_bound(reference.polygons), None, _bound(other.polygons), None)
    return 1.0 - abs(_score(reference) - _score(other))


def _score(found: Found) -> float:
    score = found.score
    return score if isinstance(score, float) else 0.0


def _bound(polygons: Sequence[Floats]) -> Floats:
    corners = [[*points.min(axis=0), *points.max(axis=0)] for points in polygons]
    return np.array(corners, np.float64).reshape(-1, 4)


def _f1(one: Floats, names: Any, other: Floats, other_names: Any) -> float:
    """Each finding of the other is the twin of one at most."""
    if not len(one) and not len(other):
        return 1.0
    overlap = _measure_overlap(one, other)
    if names is not None:
        overlap[names[:, None] != other_names[None, :]] = 0
    twins = 0
    while overlap.size and overlap.max() >= _SAME_PLACE:
        row, column = np.unravel_index(int(overlap.argmax()), overlap.shape)
        overlap[row, :] = overlap[:, column] = 0
        twins += 1
    return 2 * twins / (len(one) + len(other))


def _measure_overlap(one: Floats, other: Floats) -> Floats:
    low = np.maximum(one[:, None, :2], other[None, :, :2])
    high = np.minimum(one[:, None, 2:], other[None, :, 2:])
    shared: Floats = np.prod(np.clip(high - low, 0, None), axis=2)
    whole = np.prod(one[:, 2:] - one[:, :2], axis=1)[:, None]
    total = whole + np.prod(other[:, 2:] - other[:, :2], axis=1)[None] - shared
    overlap: Floats = np.divide(shared, total, out=np.zeros_like(shared), where=total > 0)
    return overlap
