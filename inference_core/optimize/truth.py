"""A label as a model would say it: to stand beside two answers."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from inference_core.contract.build import MetricName
from inference_core.contract.manifest import ModelManifest
from inference_core.contract.results import (
    BoxResult,
    RegionResult,
    StageLatency,
    StageResult,
    TextBoxResult,
)
from inference_core.contract.words import VerdictWord
from inference_core.datasets import Sample
from inference_core.optimize.judges.masks import read_mask

MAX_SHAPES, MAX_POINTS = 100, 200
_NO_TIME = StageLatency(preprocess=0, infer=0, postprocess=0, total=0)


@dataclass(frozen=True)
class Truth:
    """The label in words, its classes, and its shapes in pixels of the frame."""

    words: str
    classes: tuple[str, ...]
    shapes: StageResult


def read_truth(sample: Sample, metric: MetricName, manifest: ModelManifest) -> Truth:
    """The label of a sample that a judge of ``metric`` has read."""
    if metric == "mean_iou":
        return _of_mask(sample, manifest)
    if metric == "map":
        return _of_boxes(sample)
    if metric == "text_f1":
        return _of_text_boxes(sample)
    if metric == "auroc":
        words = "bad" if _is_bad(sample) else "good"
        return Truth(words, (), make_stage("truth"))
    words = (sample.label if metric == "accuracy" else sample.text) or ""
    return Truth(words, (words,) if metric == "accuracy" else (), make_stage("truth"))


def make_stage(name: str, **fields: Any) -> StageResult:
    """A stage's result of at most ``MAX_SHAPES`` of each kind, with outlines that can be drawn."""
    cut = {key: _cut(value) for key, value in fields.items()}
    return StageResult(stage=name, **cut, latency_ms=_NO_TIME)


def _cut(value: Any) -> Any:
    if not isinstance(value, tuple):
        return value
    return tuple(_thin(shape) for shape in value[:MAX_SHAPES])


def _thin(shape: Any) -> Any:
    outline = getattr(shape, "polygon", ())
    if len(outline) <= MAX_POINTS:
        return shape
    step = -(-len(outline) // MAX_POINTS)
    return shape.model_copy(update={"polygon": outline[::step]})


def _of_mask(sample: Sample, manifest: ModelManifest) -> Truth:
    mask = read_mask(sample, "a segmentation")
    labels: tuple[str, ...] = getattr(manifest.decoder, "labels", ())
    background = getattr(manifest.decoder, "background", 0)
    found = [index for index in np.unique(mask).tolist() if index != background]
    regions = [
        _region(labels[index], contour)
        for index in found
        for contour in _outlines((mask == index).astype(np.uint8))
    ]
    classes = tuple(labels[index] for index in found)
    return Truth(", ".join(classes), classes, make_stage("truth", regions=tuple(regions)))


def _outlines(mask: Any) -> Any:
    return cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[0]


def _region(label: str, contour: Any) -> RegionResult:
    points = contour.reshape(-1, 2).astype(float)
    (left, top), (right, bottom) = points.min(0), points.max(0)
    return RegionResult(
        label=label,
        score=1.0,
        xyxy=(left, top, right + 1, bottom + 1),
        polygon=tuple(map(tuple, points[:2000])) if len(points) > 2 else (),
        area_px=float(cv2.contourArea(contour)),
    )


def _of_boxes(sample: Sample) -> Truth:
    boxes = sample.boxes or ()
    counts = Counter(box.label for box in boxes)
    words = ", ".join(f"{count} {label}" for label, count in sorted(counts.items()))
    shapes = tuple(
        BoxResult(label=box.label, class_id=0, score=1.0, xyxy=box.xyxy) for box in boxes
    )
    return Truth(words, tuple(sorted(counts)), make_stage("truth", boxes=shapes))


def _of_text_boxes(sample: Sample) -> Truth:
    boxes = sample.text_boxes or ()
    shapes = tuple(TextBoxResult(score=1.0, polygon=box.polygon) for box in boxes)
    return Truth(f"{len(boxes)} places of text", (), make_stage("truth", text_boxes=shapes))


def _is_bad(sample: Sample) -> bool:
    if sample.verdict is not None:
        return sample.verdict is VerdictWord.FAIL
    return bool(read_mask(sample, "an anomaly").any())
