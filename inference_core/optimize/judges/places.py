"""When two models found the same things in a picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference_core.metrics.overlap import match_greedily
from inference_core.optimize.judges.base import Reading

Floats = NDArray[np.float64]

UNDECIDED = 0.05
"""Scores so near to their threshold may fall on either side: noise of the camera moves them too.

The same number as the score shift that the gate allows by default.
"""
SAME_PLACE_IOU = 0.5


@dataclass(frozen=True, kw_only=True)
class PlacesReading(Reading):
    """A picture with N things found, each with a place.

    Two readings agree when each thing that one is sure of has a partner in the other: of the
    same class, in the same place, and not clearly below the threshold. So a lost, a new and a
    moved object differ, and so does another count; an object that the reference itself found by
    a hair does not make every honest candidate wrong.
    """

    lead: Floats
    """N scores minus their thresholds, none below ``-UNDECIDED``."""
    overlap: Callable[[PlacesReading, PlacesReading], Floats]
    """N×M IoU with another reading's things, 0 where the classes differ."""

    def agrees_with(self, other: Reading) -> bool:
        """Whether both are sure of the same things."""
        if not isinstance(other, PlacesReading):
            raise TypeError("only readings of one judge can be compared")
        pairs = match_greedily(self.overlap(self, other), SAME_PLACE_IOU)
        ours, theirs = {row for row, _ in pairs}, {column for _, column in pairs}
        return _covers(self.lead, ours) and _covers(other.lead, theirs)


def _covers(lead: Floats, matched: set[int]) -> bool:
    """Whether everything that is clearly above its threshold has a partner."""
    return set(np.flatnonzero(lead >= UNDECIDED).tolist()) <= matched
