"""Which places of a detector score high enough, and for which class.

Thresholds come first: of a million scores a handful is worth a sigmoid, a calibration or a box.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference_core.contract.decoders import BoxDecoder, Calibration
from inference_core.decode.activation import activate
from inference_core.errors import DecodeFailed
from inference_core.results import Floats

MAX_CANDIDATES = 5000
"""The best of them go on: merging costs their square, 50 ms for so many on one core."""

_SLACK = 1e-6
"""Rounding of a sigmoid or a calibration; the exact comparison comes after."""

_TOLERANCE = 0.01
"""Quantised outputs may exceed a probability by their rounding."""


@dataclass(frozen=True)
class Chosen:
    """K places that reach their class's threshold."""

    row: NDArray[np.intp]
    class_id: NDArray[np.int64]
    score: Floats
    """Calibrated, 0 to 1."""


def choose_each(scores: NDArray[Any], decoder: BoxDecoder, activation: str = "none") -> Chosen:
    """Every class of N×C scores for itself: one place may be several objects."""
    likely = np.flatnonzero(scores >= lowest_raw(decoder, activation))
    row, class_id = np.divmod(likely, scores.shape[1])
    return settle(row, class_id, activate(scores[row, class_id], activation, axis=0), decoder)


def choose_best(scores: NDArray[Any], decoder: BoxDecoder, activation: str = "none") -> Chosen:
    """The likeliest class of each place of N×C scores."""
    row = np.flatnonzero(scores.max(axis=1) >= lowest_raw(decoder, activation))
    named = np.array([bool(label) for label in decoder.labels])
    likely = np.where(named, activate(scores[row], activation, axis=1), -np.inf)
    class_id = likely.argmax(axis=1)
    return settle(row, class_id, likely[np.arange(len(row)), class_id], decoder)


def choose_listed(
    score: NDArray[Any], number: NDArray[Any], decoder: BoxDecoder, first_class: int = 0
) -> Chosen:
    """Of finished objects, those over their thresholds; ``number`` counts from ``first_class``.

    Raises ``DecodeFailed`` for a number without a label.
    """
    row = np.flatnonzero(score >= lowest_raw(decoder, "none"))
    class_id = np.rint(number[row]).astype(np.int64) - first_class
    if row.size and not 0 <= class_id.min() <= class_id.max() < len(decoder.labels):
        found = f"{class_id.min() + first_class} to {class_id.max() + first_class}"
        last = first_class + len(decoder.labels) - 1
        raise DecodeFailed(f"classes {found} came, but labels stand for {first_class} to {last}")
    return settle(row, class_id, score[row], decoder)


def settle(
    row: NDArray[np.intp], class_id: NDArray[Any], score: NDArray[Any], decoder: BoxDecoder
) -> Chosen:
    """Holds calibrated scores against the thresholds of their classes.

    Raises ``DecodeFailed`` for scores that are no probabilities.
    """
    require_probabilities(score)
    settled = calibrate(score, decoder.calibration)
    (kept,) = np.nonzero(settled >= _thresholds(decoder)[class_id])
    if len(kept) > MAX_CANDIDATES:
        kept = kept[np.argsort(-settled[kept], kind="stable")[:MAX_CANDIDATES]]
    return Chosen(row[kept], class_id[kept].astype(np.int64), np.clip(settled[kept], 0.0, 1.0))


def calibrate(score: NDArray[Any], calibration: Calibration | None) -> Floats:
    """Probabilities on straight lines between the knots; level beyond the first and the last."""
    exact = np.asarray(score, dtype=np.float64)
    if calibration is None:
        return exact
    raw, probability = np.array(calibration.knots).T
    return np.asarray(np.interp(exact, raw, probability), dtype=np.float64)


def require_probabilities(score: NDArray[Any]) -> None:
    """Raises ``DecodeFailed`` for scores beyond 0 to 1: the graph leaves the activation out."""
    if score.size and not -_TOLERANCE <= score.min() <= score.max() <= 1 + _TOLERANCE:
        raise DecodeFailed(
            f"scores reach from {score.min():.4g} to {score.max():.4g}, which are no "
            "probabilities: set the decoder's activation to what the graph leaves out"
        )


def lowest_raw(decoder: BoxDecoder, activation: str) -> float:
    """The score before its activation below which no class can reach its threshold."""
    low = _lowest_score(decoder)
    if activation != "sigmoid":
        return low
    if low <= 0:
        return -math.inf
    return math.inf if low >= 1 else math.log(low / (1 - low))


def _lowest_score(decoder: BoxDecoder) -> float:
    """No activated score below can reach a threshold, whatever its class."""
    threshold = float(_thresholds(decoder).min())
    if decoder.calibration is None:
        return threshold - _SLACK
    raw, probability = np.array(decoder.calibration.knots).T
    place = int(np.searchsorted(probability, threshold))
    if place == 0:
        return -math.inf
    if place == len(raw):
        return math.inf
    rise = (threshold - probability[place - 1]) / (probability[place] - probability[place - 1])
    return float(raw[place - 1] + rise * (raw[place] - raw[place - 1])) - _SLACK


def _thresholds(decoder: BoxDecoder) -> Floats:
    """One a class. A column without a label is never reported."""
    own = tuple(decoder.class_thresholds.items())
    return _list_thresholds(decoder.labels, decoder.threshold, own)


@lru_cache(maxsize=64)
def _list_thresholds(
    labels: tuple[str, ...], usual: float, own: tuple[tuple[str, float], ...]
) -> Floats:
    of_label = dict(own)
    thresholds = [of_label.get(label, usual) if label else math.inf for label in labels]
    shared: Floats = np.array(thresholds)
    shared.setflags(write=False)
    return shared
