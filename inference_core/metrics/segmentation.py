"""Intersection over union of classes, from one confusion matrix over all pictures."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.uint8] | NDArray[np.int64]


class ConfusionMatrix:
    """Counts pixels by (truth, prediction); pictures are pooled, as in PASCAL VOC.

    IoU of a class = true positives / (truth + predicted - true positives). Everingham et al.,
    The PASCAL Visual Object Classes Challenge, IJCV 2010, section 4.2.
    """

    def __init__(self, class_count: int) -> None:
        self._classes = class_count
        self.pixels = np.zeros((class_count, class_count), np.int64)

    def add(self, truth: Labels, prediction: Labels) -> None:
        """Count one picture: two integer arrays of one shape, values below ``class_count``."""
        if truth.shape != prediction.shape:
            raise ValueError(f"truth is {truth.shape}, prediction is {prediction.shape}")
        highest = max(int(truth.max(initial=0)), int(prediction.max(initial=0)))
        if highest >= self._classes:
            raise ValueError(f"class {highest} is not one of the {self._classes} classes")
        pairs = truth.astype(np.int64).ravel() * self._classes + prediction.ravel()
        counts = np.bincount(pairs, minlength=self._classes**2)
        self.pixels += counts.reshape(self._classes, self._classes)

    @classmethod
    def pool(cls, matrices: Iterable[ConfusionMatrix], class_count: int) -> ConfusionMatrix:
        """One matrix with the pixels of all."""
        pooled = cls(class_count)
        for matrix in matrices:
            pooled.pixels += matrix.pixels
        return pooled

    def iou(self) -> NDArray[np.float64]:
        """IoU by class; NaN for a class that is neither in the truth nor in the prediction."""
        hits = np.diag(self.pixels).astype(np.float64)
        union = self.pixels.sum(0) + self.pixels.sum(1) - hits
        shares = np.full_like(hits, np.nan)
        np.divide(hits, union, out=shares, where=union > 0)
        return shares

    def mean_iou(self, *, background: int | None = None) -> float:
        """Mean over the classes seen, without the background, which would hide a lost defect.

        0.0 when no such class was seen at all.
        """
        shares = self.iou()
        if background is not None:
            shares[background] = np.nan
        seen = shares[~np.isnan(shares)]
        return float(seen.mean()) if seen.size else 0.0
