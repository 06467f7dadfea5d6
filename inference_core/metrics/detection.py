"""Mean average precision, as COCO defines it and pycocotools computes it."""

from __future__ import annotations

import io
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference_core.errors import RuntimeUnavailable

Floats = NDArray[np.float64]
Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class DetectionPicture:
    """One picture: what is there, and what was found. Boxes are x0, y0, x1, y1."""

    truth_class: Numbers
    truth_xyxy: Floats
    class_id: Numbers
    score: Floats
    xyxy: Floats


@dataclass(frozen=True)
class DetectionFigures:
    """Average precision at IoU 0.50, 0.55 … 0.95, of at most 100 boxes a picture."""

    map: float | None
    """Mean over the classes that are in the truth; None where there are none."""
    map_50: float | None
    """The same at IoU 0.5 alone."""
    per_class: dict[int, float]
    """Average precision of each class that is in the truth."""


def measure_detection(pictures: Sequence[DetectionPicture], class_count: int) -> DetectionFigures:
    """Figures of all pictures. Raises ``RuntimeUnavailable``, which says what to install.

    Lin et al., Microsoft COCO, ECCV 2014; area "all", 101 recall points.
    """
    precision = _evaluate(pictures, class_count)
    per_class = {
        number: float(values[values > -1].mean())
        for number in range(class_count)
        if ((values := precision[:, :, number]) > -1).any()
    }
    return DetectionFigures(_mean(precision), _mean(precision[:1]), per_class)


def _mean(precision: Floats) -> float | None:
    """A class that is not in the truth has -1."""
    known = precision[precision > -1]
    return float(known.mean()) if known.size else None


def _evaluate(pictures: Sequence[DetectionPicture], class_count: int) -> Floats:
    """IoU thresholds × recall points × classes."""
    try:
        from pycocotools.cocoeval import COCOeval
    except ImportError as error:
        raise RuntimeUnavailable(
            f"mAP needs pycocotools ({error}); pip install 'linewarden[metrics]'"
        ) from error
    with redirect_stdout(io.StringIO()):  # it prints how long each step took
        truth = _index(_list_truth(pictures), len(pictures), class_count)
        found = _index(_list_found(pictures), len(pictures), class_count)
        evaluation = COCOeval(truth, found, "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
    precision: Floats = evaluation.eval["precision"][:, :, :, 0, -1]
    return precision


def _index(annotations: list[dict[str, Any]], images: int, class_count: int) -> Any:
    from pycocotools.coco import COCO

    coco = COCO()
    coco.dataset = {
        "images": [{"id": number} for number in range(images)],
        "categories": [{"id": number} for number in range(class_count)],
        # Numbers from 1: an annotation with the id 0 counts as not matched.
        "annotations": [{"id": n, **one} for n, one in enumerate(annotations, start=1)],
    }
    coco.createIndex()
    return coco


def _list_truth(pictures: Sequence[DetectionPicture]) -> list[dict[str, Any]]:
    return [
        {"iscrowd": 0, **_describe(number, name, box)}
        for number, picture in enumerate(pictures)
        for name, box in zip(picture.truth_class.tolist(), picture.truth_xyxy.tolist(), strict=True)
    ]


def _list_found(pictures: Sequence[DetectionPicture]) -> list[dict[str, Any]]:
    return [
        {"score": score, **_describe(number, name, box)}
        for number, picture in enumerate(pictures)
        for name, score, box in zip(
            picture.class_id.tolist(), picture.score.tolist(), picture.xyxy.tolist(), strict=True
        )
    ]


def _describe(image: int, class_id: int, box: list[float]) -> dict[str, Any]:
    x0, y0, x1, y1 = box
    width, height = x1 - x0, y1 - y0
    return {
        "image_id": image,
        "category_id": class_id,
        "bbox": [x0, y0, width, height],
        "area": width * height,
    }
