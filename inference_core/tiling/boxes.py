"""Boxes of several tiles: an object that two tiles see is one object, cut or whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference_core.contract.decoders import BoxDecoder
from inference_core.decode.nms import suppress
from inference_core.picture import Window
from inference_core.results import Boxes, Floats
from inference_core.tiling.groups import Link, find_cut, group, pair_tiles

_MOST_BOXES = 1000
"""As many as a result holds; the surest are kept."""
_DEFAULT_IOU = 0.5
_COVERED = 0.7
"""A cut box, so much of which lies in another tile's box, is a part of that."""


def merge_boxes(parts: Sequence[tuple[Window, Boxes]], decoder: BoxDecoder) -> Boxes:
    """Each object once, highest score first.

    Two boxes are one object where they agree in what both tiles see (intersection over union
    there), or where one is cut off by its tile and mostly covered by the other. The box that no
    tile cut stands for the object; where all are cut, the box around them. Objects wider than
    the overlap are therefore found too; with no overlap at all, nothing can be told to be one.
    """
    windows = [window for window, _ in parts]
    every = _gather([boxes for _, boxes in parts], decoder.labels)
    tile_of = np.repeat(np.arange(len(parts)), [len(boxes) for _, boxes in parts])
    cuts = [find_cut(boxes.xyxy, window, windows) for window, boxes in parts]
    views = [_View(boxes, is_cut) for (_, boxes), is_cut in zip(parts, cuts, strict=True)]
    links = _find_links(views, windows, decoder)
    return _keep_best(every, group(tile_of, links), np.concatenate(cuts), decoder)


@dataclass(frozen=True)
class _View:
    """What one tile found."""

    boxes: Boxes
    is_cut: NDArray[np.bool_]


def _gather(found: Sequence[Boxes], labels: tuple[str, ...]) -> Boxes:
    return Boxes(
        labels=labels,
        class_id=np.concatenate([boxes.class_id for boxes in found]),
        score=np.concatenate([boxes.score for boxes in found]),
        xyxy=np.concatenate([boxes.xyxy for boxes in found]),
    )


def _find_links(
    views: Sequence[_View], windows: Sequence[Window], decoder: BoxDecoder
) -> Iterator[Link]:
    limit = decoder.nms_iou if decoder.merges_boxes else _DEFAULT_IOU
    begins = np.cumsum([0, *(len(view.boxes) for view in views)]).tolist()
    for one, other, seen in pair_tiles(windows):
        ours, theirs = views[one], views[other]
        if not len(ours.boxes) or not len(theirs.boxes):
            continue
        sureness = _compare(ours, theirs, seen, limit)
        if not decoder.merges_across_classes:
            sureness[ours.boxes.class_id[:, None] != theirs.boxes.class_id] = 0.0
        for row, column in np.argwhere(sureness > 0).tolist():
            yield Link(float(sureness[row, column]), begins[one] + row, begins[other] + column)


def _compare(ours: _View, theirs: _View, seen: Floats, limit: float) -> Floats:
    """N×M: how sure it is that two boxes are one object; 0 where they are not."""
    ones, others = ours.boxes.xyxy, theirs.boxes.xyxy
    here, there = _clip(ones, seen), _clip(others, seen)
    shared, overlap = _intersect(here, there), _intersect(ones, others)
    union = _area(here)[:, None] + _area(there) - shared
    agreement = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    covered = np.maximum(
        np.where(ours.is_cut[:, None], overlap / _area(ones)[:, None], 0),
        np.where(theirs.is_cut, overlap / _area(others), 0),
    )
    # A part is only ever the second-best match of what covers it.
    is_part = np.where(covered > _COVERED, covered * limit, 0.0)
    sureness: Floats = np.where(agreement > limit, agreement, is_part)
    return sureness


def _keep_best(
    every: Boxes, groups: list[list[int]], is_cut: NDArray[np.bool_], decoder: BoxDecoder
) -> Boxes:
    best = np.array([max(members, key=lambda index: every.score[index]) for members in groups], int)
    xyxy = np.array([_stand_for(every, members, is_cut) for members in groups]).reshape(-1, 4)
    score, class_id = every.score[best], every.class_id[best]
    kept = np.argsort(-score, kind="stable")
    if decoder.merges_boxes:
        names = None if decoder.merges_across_classes else class_id
        kept = suppress(xyxy, score, names, decoder.nms_iou)
    kept = kept[:_MOST_BOXES]
    return Boxes(every.labels, class_id[kept], score[kept], xyxy[kept])


def _stand_for(every: Boxes, members: list[int], is_cut: NDArray[np.bool_]) -> Floats:
    whole = [index for index in members if not is_cut[index]]
    surest = max(whole, key=lambda index: every.score[index], default=None)
    boxes: Floats = every.xyxy[members if surest is None else [surest]]
    return np.concatenate([boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)])


def _clip(xyxy: Floats, limits: Floats) -> Floats:
    return np.clip(xyxy, np.tile(limits[:2], 2), np.tile(limits[2:], 2))


def _area(xyxy: Floats) -> Floats:
    sides = xyxy[:, 2:] - xyxy[:, :2]
    area: Floats = sides[:, 0] * sides[:, 1]
    return area


def _intersect(ones: Floats, others: Floats) -> Floats:
    """N×M areas."""
    low = np.maximum(ones[:, None, :2], others[:, :2])
    high = np.minimum(ones[:, None, 2:], others[:, 2:])
    sides = np.maximum(high - low, 0)
    area: Floats = sides[..., 0] * sides[..., 1]
    return area
