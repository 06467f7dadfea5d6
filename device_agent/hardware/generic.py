"""Any other Linux box: what the kernel tells of sensors, energy and throttling."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from device_agent.hardware.board import Readings, Rises
from device_agent.hardware.sysfs import find, read_number, read_temperatures, read_text

_THROTTLE_COUNTERS = {
    "core_throttle_count": "core-temperature",
    "package_throttle_count": "package-temperature",
}


class Generic:
    """``root`` is ``/``, or a recorded tree; ``clock`` gives seconds that never jump."""

    def __init__(self, root: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._root, self._clock = root, clock
        self._rises = Rises()
        self._energy: tuple[float, dict[str, int]] | None = None

    def read(self) -> Readings:
        """Power and throttling are about the time since the reading before."""
        throttled, reasons = self._throttling()
        return Readings(
            temperatures_c=read_temperatures(self._root),
            power_w=self._power_w(),
            throttled=throttled,
            throttle_reasons=reasons,
        )

    def _power_w(self) -> float | None:
        """Of the whole platform where Intel RAPL measures it (psys), else of the processors.

        Only root may read the counters since CVE-2020-8694: else it is unknown.
        """
        now, energy_uj = self._clock(), self._read_energy()
        before, self._energy = self._energy, (now, energy_uj)
        if before is None or not energy_uj or before[1].keys() != energy_uj.keys():
            return None
        elapsed_s = now - before[0]
        spent_uj = sum(
            self._spent_uj(zone, before[1][zone], total) for zone, total in energy_uj.items()
        )
        return round(spent_uj / 1e6 / elapsed_s, 3) if elapsed_s > 0 else None

    def _read_energy(self) -> dict[str, int]:
        zones: dict[str, dict[str, int]] = {"psys": {}, "package": {}}
        for path in find(self._root, "sys/class/powercap/intel-rapl:*"):
            kind = (read_text(path / "name") or "").partition("-")[0]
            total = read_number(path / "energy_uj")
            if kind in zones and total is not None:
                zones[kind][path.name] = total
        return zones["psys"] or zones["package"]

    def _spent_uj(self, zone: str, before: int, after: int) -> int:
        """The counter begins at zero again after ``max_energy_range_uj``."""
        if after >= before:
            return after - before
        folder = self._root / "sys/class/powercap" / zone
        return after - before + (read_number(folder / "max_energy_range_uj") or before)

    def _throttling(self) -> tuple[bool | None, tuple[str, ...]]:
        is_known, reasons = False, []
        for name, reason in _THROTTLE_COUNTERS.items():
            for path in find(self._root, f"sys/devices/system/cpu/cpu*/thermal_throttle/{name}"):
                count = read_number(path)
                if count is not None:
                    is_known = True
                    reasons += [reason] if self._rises.by(str(path), count) else []
        return (bool(reasons) if is_known else None), tuple(dict.fromkeys(reasons))


def memory_bytes() -> int | None:
    """Physical memory of the box, or None where the system does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return None
