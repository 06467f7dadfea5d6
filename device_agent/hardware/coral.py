"""Coral Edge TPU on PCIe, by the files of its driver. One on USB tells nothing of itself."""

from __future__ import annotations

from pathlib import Path

from device_agent.hardware.board import Readings
from device_agent.hardware.sysfs import find, read_celsius


class Coral:
    """``root`` is ``/``, or a recorded tree."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self) -> Readings:
        """Above its first trip point the driver halves the clock, and halves it again later."""
        temperatures_c: dict[str, float] = {}
        slowed: list[bool] = []
        for path in find(self._root, "sys/class/apex/apex_*"):
            celsius = read_celsius(path / "temp")
            trip_c = read_celsius(path / "trip_point0_temp")
            if celsius is not None:
                temperatures_c[path.name] = celsius
                slowed += [celsius >= trip_c] if trip_c is not None else []
        return Readings(
            temperatures_c=temperatures_c,
            throttled=any(slowed) if slowed else None,
            throttle_reasons=("edgetpu-hot",) if any(slowed) else (),
        )
