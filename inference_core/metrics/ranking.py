"""How well scores tell bad parts from good ones, at any threshold."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def auroc(is_positive: Sequence[bool], scores: Sequence[float]) -> float | None:
    """Area under the ROC curve: the chance that a positive scores higher than a negative.

    Exact, a tie counts one half (Mann and Whitney, 1947). None where all are of one kind.
    """
    positive = np.asarray(is_positive, dtype=bool)
    values = np.asarray(scores, dtype=np.float64)
    if positive.shape != values.shape:
        raise ValueError(f"{len(positive)} truths for {len(values)} scores")
    positives = int(positive.sum())
    negatives = len(positive) - positives
    if not positives or not negatives:
        return None
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    rank = np.cumsum(count) - (count - 1) / 2  # equal scores share the middle of their ranks
    above = rank[place][positive].sum() - positives * (positives + 1) / 2
    return float(above / (positives * negatives))
