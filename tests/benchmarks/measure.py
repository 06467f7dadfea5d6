"""What every benchmark shares: taking turns, and the figure that comes out."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Figure:
    """One line of the table: ratios of pairs that were measured side by side."""

    name: str
    goal: float
    direction: Literal["at most", "at least"]
    ratios: list[float]
    note: str

    @property
    def median(self) -> float:
        """What is held against the goal."""
        return statistics.median(self.ratios)

    @property
    def is_met(self) -> bool:
        """Whether the median keeps the goal."""
        return self.median <= self.goal if self.direction == "at most" else self.median >= self.goal


Timed = Callable[[], float]
"""Does the work once and returns seconds."""


def time_call(work: Callable[[], object]) -> float:
    """Seconds of one call."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def take_turns(runs: Mapping[str, Timed], rounds: int) -> dict[str, list[float]]:
    """Each in turn, ``rounds`` times, so that a slower minute of the machine hits all alike.

    The order turns round in every second round. The garbage collector waits meanwhile.
    """
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    names = list(runs)
    gc.collect()
    gc.disable()
    try:
        for number in range(rounds):
            for name in names if number % 2 == 0 else reversed(names):
                seconds[name].append(runs[name]())
    finally:
        gc.enable()
    return seconds


def divide(over: list[float], under: list[float]) -> list[float]:
    """The ratio of each pair."""
    return [above / below for above, below in zip(over, under, strict=True)]


def percentile(values: list[float], share: float) -> float:
    """The value below which that share of them lies."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]
