"""Whether a judge's reading of one picture is right, by the rule of its task."""

from __future__ import annotations

from collections.abc import Callable

from inference_core.contract.build import MetricName
from inference_core.metrics.overlap import box_iou, match_greedily
from inference_core.optimize.judges import Reading
from inference_core.optimize.judges.places import SAME_PLACE_IOU, PlacesReading

SPECK_SHARE = 0.001
"""A class that the mask does not have may cover so much of the picture: noise of an edge."""


def is_right(metric: MetricName, reading: Reading, background: int | None = None) -> bool:
    """Whether nobody would correct the answer.

    Classes and texts are the same; the score is on the right side of its threshold; every
    object, and nothing else, is found at IoU 0.5; every class of a mask is found at IoU 0.5, and
    none that the mask does not have covers more than ``SPECK_SHARE``.
    """
    if metric == "mean_iou":
        return _masks_match(reading, background)
    return _RULES[metric](reading)


def _same(reading: Reading) -> bool:
    truth, answer = reading.evidence
    return bool(truth == answer)


def _right_side(reading: Reading) -> bool:
    is_bad, _ = reading.evidence
    return bool((reading.answer == "bad") == is_bad)


def _all_boxes(reading: Reading) -> bool:
    if not isinstance(reading, PlacesReading):
        raise TypeError(type(reading))
    evidence = reading.evidence
    is_sure = reading.lead >= 0
    truth, found = evidence.picture.truth_class, evidence.class_id[is_sure]
    if len(truth) != len(found):
        return False
    overlap = box_iou(evidence.picture.truth_xyxy, evidence.xyxy[is_sure])
    same = truth[:, None] == found[None, :]
    return len(match_greedily(overlap * same, SAME_PLACE_IOU)) == len(truth)


def _all_text_boxes(reading: Reading) -> bool:
    counts = reading.evidence.counts
    return bool(counts.hits == counts.found == counts.truth)


def _masks_match(reading: Reading, background: int | None) -> bool:
    pixels, iou = reading.evidence.pixels, reading.evidence.iou()
    total = pixels.sum()
    for index, is_there in enumerate(pixels.sum(1) > 0):
        if index == background:
            continue
        if is_there and not iou[index] >= SAME_PLACE_IOU:
            return False
        if not is_there and pixels[:, index].sum() > SPECK_SHARE * total:
            return False
    return True


_RULES: dict[str, Callable[[Reading], bool]] = {
    "accuracy": _same,
    "character_accuracy": _same,
    "auroc": _right_side,
    "map": _all_boxes,
    "text_f1": _all_text_boxes,
}
