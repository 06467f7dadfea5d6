"""How far counts are off."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class CountingError:
    """Over all counts of a set."""

    mean_absolute: float
    """Objects too many or too few, per count."""
    share: float
    """All objects too many or too few, by all objects; above 0 also where they cancel out."""
    exact: float
    """Share of counts without an error."""


def measure_counting(pairs: Iterable[tuple[int, int]]) -> CountingError:
    """From (true, counted) pairs; ``ValueError`` for none. Counting ghosts only is share 1."""
    counts = list(pairs)
    if not counts:
        raise ValueError("a counting error needs a count")
    errors = [abs(counted - true) for true, counted in counts]
    objects = sum(true for true, _ in counts)
    share = sum(errors) / objects if objects else float(any(errors))
    return CountingError(sum(errors) / len(errors), share, errors.count(0) / len(errors))
