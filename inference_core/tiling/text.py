"""Text boxes of several tiles: a line that two tiles see is one line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from inference_core.decode.text_boxes import from_top_left, sort_for_reading
from inference_core.picture import Window
from inference_core.results import Floats, TextBoxes
from inference_core.tiling.groups import Link, find_cut, group, pair_tiles

_MOST_BOXES = 1000
"""As many as a result holds; the surest are kept."""
_SAME = 0.5


def merge_text_boxes(parts: Sequence[tuple[Window, TextBoxes]]) -> TextBoxes:
    """Each line once, in reading order; one that every tile cut is the tight box around its parts.

    Two boxes are one line where they agree in what both tiles see: intersection over union of
    the polygons there.
    """
    windows = [window for window, _ in parts]
    polygons = [polygon for _, boxes in parts for polygon in boxes.polygons]
    score = np.concatenate([boxes.score for _, boxes in parts])
    tile_of = np.repeat(np.arange(len(parts)), [len(boxes) for _, boxes in parts])
    is_cut = np.array(
        [
            bool(find_cut(_bound(polygon)[None], window, windows)[0])
            for window, boxes in parts
            for polygon in boxes.polygons
        ],
        dtype=np.bool_,
    )
    groups = group(tile_of, _find_links(polygons, tile_of, windows))
    lines = [
        (float(score[members].max()), _stand_for(polygons, members, score, is_cut))
        for members in groups
    ]
    surest = sorted(lines, key=lambda line: -line[0])[:_MOST_BOXES]
    ordered = sort_for_reading(surest)
    return TextBoxes(
        score=np.array([value for value, _ in ordered], dtype=np.float64),
        polygons=tuple(polygon for _, polygon in ordered),
    )


def _find_links(
    polygons: Sequence[Floats], tile_of: NDArray[np.int64], windows: Sequence[Window]
) -> Iterator[Link]:
    for one, other, seen in pair_tiles(windows):
        frame = np.array([seen[[0, 1]], seen[[2, 1]], seen[[2, 3]], seen[[0, 3]]])
        here = _clip_all(polygons, np.flatnonzero(tile_of == one), frame)
        there = _clip_all(polygons, np.flatnonzero(tile_of == other), frame)
        for first, ours in here:
            for second, theirs in there:
                agreement = _compare(ours, theirs)
                if agreement > _SAME:
                    yield Link(agreement, first, second)


def _clip_all(
    polygons: Sequence[Floats], chosen: NDArray[np.intp], frame: Floats
) -> list[tuple[int, NDArray[np.float32]]]:
    """What of the chosen polygons reaches into the frame."""
    clipped = ((index, _intersect(polygons[index], frame)) for index in chosen.tolist())
    return [(index, part) for index, part in clipped if len(part) >= 3]


def _compare(ones: NDArray[np.float32], others: NDArray[np.float32]) -> float:
    """Intersection over union of two convex polygons."""
    shared = _intersect(ones, others)
    if len(shared) < 3:
        return 0.0
    area = cv2.contourArea(shared)
    union = cv2.contourArea(ones) + cv2.contourArea(others) - area
    return area / union if union > 0 else 0.0


def _intersect(
    ones: Floats | NDArray[np.float32], others: Floats | NDArray[np.float32]
) -> NDArray[np.float32]:
    _, shared = cv2.intersectConvexConvex(ones.astype(np.float32), others.astype(np.float32))
    return np.zeros((0, 2), np.float32) if shared is None else np.asarray(shared, np.float32)


def _stand_for(
    polygons: Sequence[Floats], members: list[int], score: Floats, is_cut: NDArray[np.bool_]
) -> Floats:
    whole = [index for index in members if not is_cut[index]]
    if whole or len(members) == 1:
        return polygons[max(whole or members, key=lambda index: score[index])]
    points = np.concatenate([polygons[index] for index in members]).astype(np.float32)
    return from_top_left(np.asarray(cv2.boxPoints(cv2.minAreaRect(points)), dtype=np.float64))


def _bound(polygon: Floats) -> Floats:
    return np.concatenate([polygon.min(axis=0), polygon.max(axis=0)])
