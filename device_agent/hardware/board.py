"""What every family of boards answers: the part of Health that differs from board to board."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True)
class Readings:
    """``throttled`` is about the time since the reading before. None is unknown, never zero."""

    temperatures_c: dict[str, float] = field(default_factory=dict)
    power_w: float | None = None
    gpu_share: float | None = None
    throttled: bool | None = None
    throttle_reasons: tuple[str, ...] = ()


class Board(Protocol):
    """Reads the same box again and again; it may keep counters between two readings."""

    def read(self) -> Readings:
        """How the board is right now; costs milliseconds and raises nothing."""


class Rises:
    """Which counters have grown since they were looked at before."""

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}

    def by(self, name: str, count: int) -> int:
        """Growth since the last look; 0 at the first, and after the counter began anew."""
        before = self._seen.get(name, count)
        self._seen[name] = count
        return max(0, count - before)


def combine(readings: Iterable[Readings]) -> Readings:
    """A board with its accelerators: the power is the board's own, reasons are joined."""
    parts = list(readings)
    said = [part.throttled for part in parts if part.throttled is not None]
    return Readings(
        temperatures_c={name: c for part in parts for name, c in part.temperatures_c.items()},
        power_w=next((part.power_w for part in parts if part.power_w is not None), None),
        gpu_share=next((part.gpu_share for part in parts if part.gpu_share is not None), None),
        throttled=any(said) if said else None,
        throttle_reasons=tuple(
            dict.fromkeys(reason for part in parts for reason in part.throttle_reasons)
        ),
    )
