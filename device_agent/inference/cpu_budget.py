"""How large a share of the frames a child may be given, so that it keeps to its processor time."""

from __future__ import annotations

import os
from pathlib import Path

_WINDOW_S = 2.0
"""Shorter windows see mostly the grain of the kernel's clock, 10 ms."""

_GROWTH = 1.5
_FIRST_PART = 1 / 8
"""The first window must not overdraw: begin low and grow."""


def read_cpu_s(pid: int) -> float | None:
    """Processor seconds that a process has used with all its threads; None once it is gone.

    proc_pid_stat(5): fields 14 and 15, counted behind the name, which may hold anything.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class CpuBudget:
    """Steers ``share`` between 0 and ``max_share`` by what the window before has cost."""

    def __init__(self, *, max_share: float, max_cpu_share: float) -> None:
        self._max_share, self._max_cpu_share = max_share, max_cpu_share
        self._seen: tuple[float, float] | None = None
        self.share = max_share * _FIRST_PART

    def observe(self, now_s: float, cpu_s: float) -> None:
        """Take in a reading of the child's processor seconds."""
        if self._seen is None:
            self._seen = now_s, cpu_s
        elapsed_s = now_s - self._seen[0]
        if elapsed_s < _WINDOW_S:
            return
        used = (cpu_s - self._seen[1]) / elapsed_s
        self._seen = now_s, cpu_s
        self.share = self._next_share(used / self._max_cpu_share)

    def _next_share(self, load: float) -> float:
        """``load`` 1 is the whole budget. Twice over it, nothing is given for a window."""
        if load >= 2:
            return 0.0
        if load > 1:
            return self.share / load * 0.9
        lowest = self._max_share * _FIRST_PART / 8
        grown = max(self.share, lowest) * (_GROWTH if load < 0.8 else 1.0)
        return min(self._max_share, grown)
