"""Intersection over union of boxes and of polygons, and who matches whom."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def box_iou(ours: Floats, theirs: Floats) -> Floats:
    """N×M from N×4 and M×4 of x0, y0, x1, y1; boxes without an area overlap nothing."""
    low = np.maximum(ours[:, None, :2], theirs[None, :, :2])
    high = np.minimum(ours[:, None, 2:], theirs[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    union = _areas(ours)[:, None] + _areas(theirs)[None, :] - shared
    shares: Floats = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return shares


def polygon_iou(ours: Sequence[Floats], theirs: Sequence[Floats]) -> Floats:
    """N×M from polygons of K×2 points. A polygon with dents counts as its convex hull."""
    hulls = [[_hull(polygon) for polygon in polygons] for polygons in (ours, theirs)]
    shares = [[_hull_iou(one, other) for other in hulls[1]] for one in hulls[0]]
    return np.array(shares, dtype=np.float64).reshape(len(ours), len(theirs))


def match_greedily(overlap: Floats, least: float) -> list[tuple[int, int]]:
    """Pairs of rows and columns that overlap by ``least``, the best first, each used once."""
    rows, columns = np.nonzero(overlap >= least)
    order = np.argsort(-overlap[rows, columns], kind="stable")
    pairs: list[tuple[int, int]] = []
    used_rows: set[int] = set()
    used_columns: set[int] = set()
    for row, column in zip(rows[order].tolist(), columns[order].tolist(), strict=True):
        if row not in used_rows and column not in used_columns:
            pairs.append((row, column))
            used_rows.add(row)
            used_columns.add(column)
    return pairs


def _areas(boxes: Floats) -> Floats:
    areas: Floats = np.clip(boxes[:, 2:] - boxes[:, :2], 0, None).prod(axis=1)
    return areas


def _hull(polygon: Floats) -> NDArray[np.float32]:
    return np.asarray(cv2.convexHull(np.asarray(polygon, dtype=np.float32)), dtype=np.float32)


def _hull_iou(ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> float:
    our_area, their_area = cv2.contourArea(ours), cv2.contourArea(theirs)
    if our_area <= 0 or their_area <= 0:
        return 0.0
    shared, _ = cv2.intersectConvexConvex(ours, theirs)
    return float(shared / (our_area + their_area - shared))
