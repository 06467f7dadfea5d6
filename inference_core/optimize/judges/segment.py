"""Judges segmentations by the mean IoU of their classes, in pixels of the whole frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from inference_core.contract.build import MetricName
from inference_core.contract.decoders import SegmentDecoder
from inference_core.contract.manifest import ModelManifest
from inference_core.datasets import DatasetError, Sample
from inference_core.decode.blobs import shown_part
from inference_core.decode.segment import label_pixels, read_probabilities
from inference_core.decode.shapes import decoder_of
from inference_core.image import Prepared
from inference_core.metrics import ConfusionMatrix
from inference_core.optimize.judges.base import Reading
from inference_core.optimize.judges.masks import read_mask
from inference_core.runtimes.base import Array


def make(manifest: ModelManifest) -> SegmentJudge:
    """A judge for the manifest."""
    return SegmentJudge(manifest)


class SegmentJudge:
    """Mean IoU over the classes but the background.

    The answer is the set of classes found; the score is the highest probability of any of them.
    """

    metric: MetricName = "mean_iou"

    def __init__(self, manifest: ModelManifest) -> None:
        self._manifest = manifest
        self._decoder = decoder_of(manifest, SegmentDecoder)

    def read(self, sample: Sample, prepared: Prepared, outputs: Mapping[str, Array]) -> Reading:
        """One picture against its mask."""
        probabilities = read_probabilities(outputs[self._decoder.output], self._decoder)
        labels = label_pixels(probabilities, self._decoder)
        truth = read_mask(sample, "a segmentation")
        if truth.max() >= len(self._decoder.labels):
            raise DatasetError(f"the mask of {sample.name} has class {truth.max()}, beyond labels")
        matrix = ConfusionMatrix(len(self._decoder.labels))
        matrix.add(truth, self._stretch_to_frame(labels, prepared, truth))
        found = sorted(set(np.unique(labels).tolist()) - {self._decoder.background})
        foreground = np.delete(probabilities, self._decoder.background, axis=0)
        return Reading(
            answer=",".join(self._decoder.labels[name] for name in found),
            score=float(foreground.max()),
            evidence=matrix,
            truths=frozenset(
                self._decoder.labels[index]
                for index in np.unique(truth)
                if index != self._decoder.background
            ),
        )

    def measure(self, readings: Sequence[Reading]) -> float:
        """Mean IoU, the pixels of all pictures pooled."""
        return self._pool(readings).mean_iou(background=self._decoder.background)

    def measure_classes(self, readings: Sequence[Reading]) -> dict[str, float]:
        """IoU of each class that was seen."""
        return {
            label: float(iou)
            for index, (label, iou) in enumerate(
                zip(self._decoder.labels, self._pool(readings).iou(), strict=True)
            )
            if index != self._decoder.background and np.isfinite(iou)
        }

    def _pool(self, readings: Sequence[Reading]) -> ConfusionMatrix:
        return ConfusionMatrix.pool(
            [reading.evidence for reading in readings], len(self._decoder.labels)
        )

    def _stretch_to_frame(
        self, labels: NDArray[np.int32], prepared: Prepared, truth: NDArray[np.uint8]
    ) -> NDArray[np.uint8]:
        """Without the padding, and as large as the mask; what was not looked at is background."""
        shown = labels[shown_part(labels.shape, self._manifest, prepared.transform)]
        height, width = truth.shape
        left, top = 0, 0
        if self._manifest.preprocess.resize == "crop":
            left, top, width, height = prepared.transform.looked_at_xywh
        seen = cv2.resize(shown.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
        placed = np.full_like(truth, self._decoder.background)
        window = placed[top : top + height, left : left + width]
        window[:] = seen[: window.shape[0], : window.shape[1]]
        return placed
