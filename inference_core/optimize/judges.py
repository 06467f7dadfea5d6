"""What a model's answers on the golden set are worth: one judge for each kind of decoder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from inference_core.contract.build import MetricName
from inference_core.contract.decoders import CtcDecoder, SegmentDecoder
from inference_core.contract.manifest import ModelManifest
from inference_core.datasets import DatasetError, Sample
from inference_core.decode.activation import activate
from inference_core.decode.ctc import read_best_path
from inference_core.decode.segment import label_pixels, read_probabilities
from inference_core.image import Prepared
from inference_core.metrics import ConfusionMatrix, character_accuracy
from inference_core.runtimes.base import Array


@dataclass(frozen=True)
class Reading:
    """What one picture gave: an answer to compare as a whole, and the score behind it."""

    answer: str
    score: float


class Judge(Protocol):
    """Collects the answers of one model over a labelled set."""

    metric: MetricName

    def add(self, sample: Sample, prepared: Prepared, outputs: Mapping[str, Array]) -> Reading:
        """Count one picture; ``DatasetError`` where its label is missing."""

    def value(self) -> float:
        """The metric over all pictures so far, 0 to 1."""

    def per_class(self) -> dict[str, float]:
        """The metric by class; empty where the task has none."""


class SegmentJudge:
    """Mean IoU over the classes but the background, in pixels of the whole frame.

    The answer is the set of classes found; the score is the highest probability of any of them.
    """

    metric: MetricName = "mean_iou"

    def __init__(self, manifest: ModelManifest, decoder: SegmentDecoder) -> None:
        self._decoder = decoder
        self._manifest = manifest
        self._matrix = ConfusionMatrix(len(decoder.labels))

    def add(self, sample: Sample, prepared: Prepared, outputs: Mapping[str, Array]) -> Reading:
        """Count one picture against its mask."""
        probabilities = read_probabilities(outputs[self._decoder.output], self._decoder)
        labels = label_pixels(probabilities, self._decoder)
        truth = _read_mask(sample)
        if truth.max() >= len(self._decoder.labels):
            raise DatasetError(f"the mask of {sample.name} has class {truth.max()}, beyond labels")
        self._matrix.add(truth, self._stretch_to_frame(labels, prepared, truth))
        found = sorted(set(np.unique(labels).tolist()) - {self._decoder.background})
        foreground = np.delete(probabilities, self._decoder.background, axis=0)
        return Reading(
            answer=",".join(self._decoder.labels[name] for name in found),
            score=float(foreground.max()),
        )

    def value(self) -> float:
        """Mean IoU so far."""
        return self._matrix.mean_iou(background=self._decoder.background)

    def per_class(self) -> dict[str, float]:
        """IoU of each class that was seen."""
        return {
            label: float(iou)
            for index, (label, iou) in enumerate(
                zip(self._decoder.labels, self._matrix.iou(), strict=True)
            )
            if index != self._decoder.background and np.isfinite(iou)
        }

    def _stretch_to_frame(
        self, labels: NDArray[np.int32], prepared: Prepared, truth: NDArray[np.uint8]
    ) -> NDArray[np.uint8]:
        """Without the padding, and as large as the mask."""
        width, height = self._manifest.input_size
        rows, columns = labels.shape
        x, y, w, h = prepared.transform.content_xywh
        top, bottom = y * rows // height, -(-(y + h) * rows // height)
        left, right = x * columns // width, -(-(x + w) * columns // width)
        shown = labels[top:bottom, left:right].astype(np.uint8)
        size = (truth.shape[1], truth.shape[0])
        return np.asarray(cv2.resize(shown, size, interpolation=cv2.INTER_NEAREST), np.uint8)


class TextJudge:
    """Character accuracy of one line a picture; the score is the line's mean probability."""

    metric: MetricName = "character_accuracy"

    def __init__(self, decoder: CtcDecoder) -> None:
        self._decoder = decoder
        self._pairs: list[tuple[str, str]] = []

    def add(self, sample: Sample, prepared: Prepared, outputs: Mapping[str, Array]) -> Reading:  # noqa: ARG002
        """Count one picture against its text."""
        if sample.text is None:
            raise DatasetError(f"{sample.name} has no text to judge a text recogniser by")
        probabilities = activate(outputs[self._decoder.output][0], self._decoder.activation, axis=1)
        text, score = read_best_path(probabilities, self._decoder)
        self._pairs.append((sample.text, text))
        return Reading(answer=text, score=score)

    def value(self) -> float:
        """Character accuracy so far."""
        return character_accuracy(self._pairs)

    def per_class(self) -> dict[str, float]:
        """Text has no classes."""
        return {}


def make_judge(manifest: ModelManifest) -> Judge:
    """A fresh judge for the manifest's decoder; the alphabet must be resolved."""
    return _JUDGES[manifest.decoder.kind](manifest)


def _make_segment_judge(manifest: ModelManifest) -> Judge:
    if not isinstance(manifest.decoder, SegmentDecoder):
        raise TypeError(manifest.decoder.kind)
    return SegmentJudge(manifest, manifest.decoder)


def _make_text_judge(manifest: ModelManifest) -> Judge:
    if not isinstance(manifest.decoder, CtcDecoder):
        raise TypeError(manifest.decoder.kind)
    return TextJudge(manifest.decoder)


_JUDGES: dict[str, Callable[[ModelManifest], Judge]] = {
    "segment": _make_segment_judge,
    "ctc": _make_text_judge,
}


def _read_mask(sample: Sample) -> NDArray[np.uint8]:
    if sample.mask is None:
        raise DatasetError(f"{sample.name} has no mask to judge a segmentation by")
    mask = cv2.imread(str(sample.mask), cv2.IMREAD_UNCHANGED)
    if mask is None or mask.ndim != 2 or mask.dtype != np.uint8:
        raise DatasetError(f"{sample.mask.name} is no PNG with one channel of 8 bits")
    return np.asarray(mask, np.uint8)
