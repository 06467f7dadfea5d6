"""Judges detectors of every kind by COCO's mean average precision."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference_core.contract.build import MetricName
from inference_core.contract.decoders import BoxDecoder
from inference_core.contract.manifest import ModelManifest
from inference_core.datasets import DatasetError, Sample
from inference_core.decode.lookup import decode
from inference_core.image import Prepared
from inference_core.metrics import DetectionFigures, DetectionPicture, measure_detection
from inference_core.metrics.overlap import box_iou
from inference_core.optimize.judges.base import Reading
from inference_core.optimize.judges.labels import require_known
from inference_core.optimize.judges.places import UNDECIDED, Floats, PlacesReading
from inference_core.results import Boxes
from inference_core.runtimes.base import Array

_FLOOR = 0.01
"""mAP looks at every recall, so it is also fed what the operating threshold would hide."""


def make(manifest: ModelManifest) -> BoxJudge:
    """A judge for the manifest."""
    if not isinstance(manifest.decoder, BoxDecoder):
        raise TypeError(manifest.decoder.kind)
    return BoxJudge(manifest, manifest.decoder)


@dataclass(frozen=True)
class _Evidence:
    """What counts for mAP, and what stands near or above its threshold."""

    picture: DetectionPicture
    class_id: NDArray[np.int64]
    xyxy: Floats


class BoxJudge:
    """mAP at IoU 0.50:0.95, and average precision by class.

    The answer is what stands above the thresholds of the manifest; two answers are the same when
    both models are sure of the same objects in the same places. The score is the best object's.
    """

    metric: MetricName = "map"

    def __init__(self, manifest: ModelManifest, decoder: BoxDecoder) -> None:
        lenient = {"threshold": min(decoder.threshold, _FLOOR), "class_thresholds": {}}
        self._manifest = manifest.model_copy(update={"decoder": decoder.model_copy(update=lenient)})
        self._labels = tuple(dict.fromkeys(label for label in decoder.labels if label))
        self._numbers = {label: number for number, label in enumerate(self._labels)}
        self._thresholds = np.array(
            [decoder.class_thresholds.get(label, decoder.threshold) for label in self._labels]
        )

    def read(self, sample: Sample, prepared: Prepared, outputs: Mapping[str, Array]) -> Reading:
        """One picture against its boxes."""
        if sample.boxes is None:
            raise DatasetError(f"{sample.name} has no boxes to judge a detector by")
        for box in sample.boxes:
            require_known(box.label, self._manifest, sample)
        found = decode(outputs, self._manifest, prepared.transform)
        if not isinstance(found, Boxes):
            raise TypeError(type(found))
        class_id = np.array(
            [self._numbers[found.labels[name]] for name in found.class_id.tolist()], np.int64
        )
        lead = found.score - self._thresholds[class_id]
        near = lead >= -UNDECIDED
        picture = self._pair(sample, found, class_id)
        return PlacesReading(
            answer=self._describe(class_id[lead >= 0]),
            score=float(found.score.max(initial=0.0)),
            evidence=_Evidence(picture, class_id[near], found.xyxy[near]),
            truths=frozenset(box.label for box in sample.boxes),
            lead=lead[near],
            overlap=_overlap,
        )

    def measure(self, readings: Sequence[Reading]) -> float | None:
        """mAP; None where no picture has a box in its label."""
        return self._measure(readings).map

    def measure_classes(self, readings: Sequence[Reading]) -> dict[str, float]:
        """Average precision of each class in the set."""
        per_class = self._measure(readings).per_class
        return {self._labels[number]: value for number, value in per_class.items()}

    def _measure(self, readings: Sequence[Reading]) -> DetectionFigures:
        pictures = [reading.evidence.picture for reading in readings]
        return measure_detection(pictures, len(self._labels))

    def _pair(self, sample: Sample, found: Boxes, class_id: NDArray[np.int64]) -> DetectionPicture:
        truth = sample.boxes or ()
        return DetectionPicture(
            truth_class=np.array([self._numbers[box.label] for box in truth], np.int64),
            truth_xyxy=np.array([box.xyxy for box in truth], np.float64).reshape(-1, 4),
            class_id=class_id,
            score=found.score,
            xyxy=found.xyxy,
        )

    def _describe(self, class_id: NDArray[np.int64]) -> str:
        """For example "1 apple, 2 person"."""
        counts = Counter(self._labels[number] for number in class_id.tolist())
        return ", ".join(f"{count} {label}" for label, count in sorted(counts.items()))


def _overlap(ours: PlacesReading, theirs: PlacesReading) -> Floats:
    same = ours.evidence.class_id[:, None] == theirs.evidence.class_id[None, :]
    overlap: Floats = box_iou(ours.evidence.xyxy, theirs.evidence.xyxy) * same
    return overlap
