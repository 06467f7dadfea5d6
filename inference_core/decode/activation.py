"""Scores to probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Probabilities = NDArray[np.float32]


def activate(scores: NDArray[Any], activation: str, axis: int) -> Probabilities:
    """Probabilities over ``axis``; activation ``none`` trusts that they are already."""
    probabilities = np.asarray(scores, dtype=np.float32)
    if activation == "none":
        return probabilities
    if activation == "sigmoid":
        with np.errstate(over="ignore"):  # exp of a large number is infinity, and its inverse 0
            return np.asarray(1.0 / (1.0 + np.exp(-probabilities)), dtype=np.float32)
    powers = np.exp(probabilities - probabilities.max(axis=axis, keepdims=True))
    powers /= powers.sum(axis=axis, keepdims=True)
    return np.asarray(powers, dtype=np.float32)
