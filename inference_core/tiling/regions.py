"""Regions of several tiles: a defect that runs through them is one, with its whole area."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from inference_core.picture import Window
from inference_core.results import Floats, Regions
from inference_core.tiling.groups import pair_tiles

_MOST_REGIONS = 1000
"""As many as a result holds; the largest are kept."""
_MOST_POINTS = 200

_NEIGHBOURS = np.ones((3, 3), np.uint8)

Mask = NDArray[np.uint8]


def merge_regions(parts: Sequence[tuple[Window, Regions]]) -> Regions:
    """Regions of one class that come within two pixels in what two tiles see, as one.

    The largest is first. The area counts a pixel that two tiles saw once; the score is the
    mean, weighted by area. Only outlines are known here: of a ring that a border cuts, the area
    is right within a tenth, and what lies in its hole becomes a part of it.
    """
    windows = [window for window, _ in parts]
    every = _gather([regions for _, regions in parts])
    tile_of = np.repeat(np.arange(len(parts)), [len(regions) for _, regions in parts])
    home = np.arange(len(every))
    for one, other, _ in pair_tiles(windows):
        for first, second in _find_touching(every, tile_of == one, tile_of == other):
            if home[first] != home[second] and _meets(every, first, second):
                home[home == home[second]] = home[first]
    merged = []
    for name in np.unique(home):
        members = np.flatnonzero(home == name)
        seen_from = [windows[tile] for tile in tile_of[members]]
        merged.append(_merge(every, members, seen_from))
    return _sort(_gather(merged) if merged else every)


def _gather(found: Sequence[Regions]) -> Regions:
    return Regions(
        labels=found[0].labels,
        class_id=np.concatenate([regions.class_id for regions in found]),
        score=np.concatenate([regions.score for regions in found]),
        xyxy=np.concatenate([regions.xyxy for regions in found]),
        area_px=np.concatenate([regions.area_px for regions in found]),
        length_px=np.concatenate([regions.length_px for regions in found]),
        polygons=tuple(polygon for regions in found for polygon in regions.polygons),
    )


def _find_touching(
    every: Regions, in_one: NDArray[np.bool_], in_other: NDArray[np.bool_]
) -> list[tuple[int, int]]:
    """Pairs of one class whose boxes overlap."""
    (ones,), (others,) = np.nonzero(in_one), np.nonzero(in_other)
    low = np.maximum(every.xyxy[ones][:, None, :2], every.xyxy[others][:, :2])
    high = np.minimum(every.xyxy[ones][:, None, 2:], every.xyxy[others][:, 2:])
    is_same_class = every.class_id[ones][:, None] == every.class_id[others]
    pairs = np.argwhere((high > low).all(axis=2) & is_same_class)
    return [(int(ones[row]), int(others[column])) for row, column in pairs]


def _meets(every: Regions, one: int, other: int) -> bool:
    """Outlines are simplified within a pixel, so each may be that much larger than it seems."""
    both = every.xyxy[[one, other]]
    box = np.concatenate([both[:, :2].max(axis=0) - 2, both[:, 2:].min(axis=0) + 2])
    first, second = (
        np.asarray(cv2.dilate(_draw(every.polygons[index], box), _NEIGHBOURS), dtype=np.uint8)
        for index in (one, other)
    )
    return bool((first & second).any())


def _draw(polygon: Floats, box: Floats) -> Mask:
    """The pixels of the polygon inside a box: 1, elsewhere 0. Rims run through centres."""
    points = np.floor(polygon).astype(np.int32)
    begin, end = np.floor(box[:2]).astype(np.int32), np.ceil(box[2:]).astype(np.int32)
    # All of it is drawn: OpenCV smears what leaves the canvas along its border.
    low = np.minimum(points.min(axis=0), begin)
    width, height = np.maximum(points.max(axis=0) + 1, end) - low
    canvas = np.zeros((int(height), int(width)), np.uint8)
    cv2.fillPoly(canvas, [(points - low).reshape(-1, 1, 2)], (1,))
    (left, top), (right, bottom) = begin - low, end - low
    return canvas[top:bottom, left:right]


def _merge(every: Regions, members: NDArray[np.intp], seen_from: list[Window]) -> Regions:
    """The members as one region, alone in its ``Regions``."""
    polygons = [every.polygons[index] for index in members]
    areas, scores, boxes = every.area_px[members], every.score[members], every.xyxy[members]
    box = np.concatenate([boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)])
    length, polygon = float(every.length_px[members[0]]), polygons[0]
    if len(members) > 1:
        masks = [_draw(polygon, box) for polygon in polygons]
        areas = areas * _share_out(masks, seen_from, box)
        polygon = _outline(masks, box)
        length = _measure_length(polygons)
    return Regions(
        labels=every.labels,
        class_id=every.class_id[members[:1]],
        score=np.array([np.average(scores, weights=np.maximum(areas, 1e-9))]),
        xyxy=box[None],
        area_px=areas.sum(keepdims=True),
        length_px=np.array([length]),
        polygons=(polygon,),
    )


def _share_out(masks: Sequence[Mask], seen_from: Sequence[Window], box: Floats) -> Floats:
    """Which share of each mask counts: what tiles before its own did not see.

    Areas are shared out, not recounted: so a region keeps its holes, which a polygon has not.
    """
    left, top = np.floor(box[:2]).astype(int)
    is_free, shares = np.ones_like(masks[0]), {}
    for window in dict.fromkeys(seen_from):
        x, y, width, height = window
        rows = slice(max(y - top, 0), max(y + height - top, 0))
        columns = slice(max(x - left, 0), max(x + width - left, 0))
        own = is_free[rows, columns].copy()
        is_free[rows, columns] = 0
        shares[window] = [
            float((mask[rows, columns] & own).sum()) / max(int(mask.sum()), 1) for mask in masks
        ]
    return np.array([shares[window][index] for index, window in enumerate(seen_from)])


def _outline(masks: Sequence[Mask], box: Floats) -> Floats:
    union = masks[0].copy()
    for mask in masks[1:]:
        union |= mask
    contours, _ = cv2.findContours(union, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    outline = max(contours, key=len).reshape(-1, 1, 2).astype(np.float32)
    return _simplify(outline) + np.floor(box[:2]) + 0.5


def _simplify(outline: NDArray[np.float32]) -> Floats:
    """Douglas–Peucker within a pixel, more where the polygon stays too long."""
    tolerance_px = 1.0
    while len(simple := cv2.approxPolyDP(outline, tolerance_px, closed=True)) > _MOST_POINTS:
        tolerance_px *= 2
    return np.asarray(simple, dtype=np.float64).reshape(-1, 2)


def _measure_length(polygons: Sequence[Floats]) -> float:
    """Longer side of the tight box around all; a rim's pixels reach half a pixel further."""
    _, sides, _ = cv2.minAreaRect(np.concatenate(polygons).astype(np.float32))
    return float(max(sides)) + 1.0


def _sort(regions: Regions) -> Regions:
    order = np.argsort(-regions.area_px, kind="stable")[:_MOST_REGIONS]
    return Regions(
        labels=regions.labels,
        class_id=regions.class_id[order],
        score=regions.score[order],
        xyxy=regions.xyxy[order],
        area_px=regions.area_px[order],
        length_px=regions.length_px[order],
        polygons=tuple(regions.polygons[index] for index in order),
    )
