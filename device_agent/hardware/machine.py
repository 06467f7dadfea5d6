"""What Linux says of the whole machine and of this process, whatever the board."""

from __future__ import annotations

import os
from pathlib import Path

from device_agent.hardware.sysfs import read_text

_IDLE, _WAITING, _COUNTED = 3, 4, 8
"""Columns of ``/proc/stat``; time of guests, behind them, is in the first ones already."""


class Machine:
    """``root`` is ``/``, or a recorded tree. None is unknown, never zero."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._ticks = self._read_ticks()

    def cpu_share(self) -> float | None:
        """Of all cores together, since the call before or since this was made."""
        before, self._ticks = self._ticks, self._read_ticks()
        # Waiting for a disk is counted back at times.
        spent = [max(0, now - then) for now, then in zip(self._ticks, before, strict=False)]
        total = sum(spent)
        return round(1 - (spent[_IDLE] + spent[_WAITING]) / total, 4) if total else None

    def memory_used_share(self) -> float | None:
        """What could not be had without swapping ÷ all."""
        sizes = _sizes(read_text(self._root / "proc/meminfo") or "")
        total, available = sizes.get("MemTotal"), sizes.get("MemAvailable")
        return round(1 - available / total, 4) if total and available is not None else None

    def own_rss_bytes(self) -> int | None:
        """Resident memory of this process."""
        words = (read_text(self._root / "proc/self/statm") or "").split()
        is_known = len(words) > 1 and words[1].isdecimal()
        return int(words[1]) * os.sysconf("SC_PAGE_SIZE") if is_known else None

    def _read_ticks(self) -> list[int]:
        first = (read_text(self._root / "proc/stat") or "").partition("\n")[0].split()
        ticks = [int(word) for word in first[1 : 1 + _COUNTED] if word.isdecimal()]
        return ticks if len(ticks) == _COUNTED else []


def _sizes(text: str) -> dict[str, int]:
    pairs = (line.split()[:2] for line in text.splitlines())
    return {p[0].rstrip(":"): int(p[1]) for p in pairs if len(p) > 1 and p[1].isdecimal()}
