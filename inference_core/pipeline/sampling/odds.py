"""The inclusion probability of one frame, and the terms that it is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from inference_core.contract.sampling import SampleReason

_HORIZON = 1000
"""Frames after which the mean weight has forgotten what came before."""


@dataclass(frozen=True)
class Odds:
    """``probability`` is min(1, sum of the terms); fixed before the draw."""

    terms: Mapping[SampleReason, float]

    @property
    def probability(self) -> float:
        """Of the frame being taken, for whatever reason."""
        return min(1.0, sum(self.terms.values()))

    def pick(self, draw: float) -> SampleReason | None:
        """The term that a uniform draw from [0, 1) falls into; None: the frame is not taken."""
        reached = 0.0
        for reason, term in self.terms.items():
            reached += term
            if draw < reached:
                return reason
        return None


class Stream:
    """Gives frames of one kind their chances, so that ``rate`` of all frames are taken by it.

    A frame's chance is ``rate * weight / mean weight``, the mean being that of the camera's
    frames up to and including this one. Where such frames are so rare that 1 is not enough, or
    the camera is new, fewer are taken, never more in the mean.
    """

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._mean_weight = 1.0
        self._frames = 1

    def find_chance(self, weight: float) -> float:
        """For a frame of this weight, 0 to 1. Counts the frame."""
        self._frames = min(self._frames + 1, _HORIZON)
        self._mean_weight += (weight - self._mean_weight) / self._frames
        return min(1.0, self._rate * weight / self._mean_weight) if weight else 0.0
