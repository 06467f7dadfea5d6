"""Small files of the kernel: one that cannot be read, or says something absurd, is unknown."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

MAX_SENSORS = 64
_MAX_BYTES = 4096
_COLDEST_C, _HOTTEST_C = -60.0, 126.9
"""Sensors that are switched off say -273, -256 or 127: no box that runs is there."""


def read_text(path: Path) -> str | None:
    """The file without the blanks and NULs at its ends; None where it cannot be read.

    Also EAGAIN and EIO: a sensor that is asleep or broken costs its own reading only.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES)
    except OSError:
        return None
    return content.decode(errors="replace").strip("\0\n ")


def read_number(path: Path, base: int = 10) -> int | None:
    """The first word of the file as an integer, or None."""
    words = (read_text(path) or "").split()
    try:
        return int(words[0], base) if words else None
    except ValueError:
        return None


def find(root: Path, pattern: str) -> list[Path]:
    """Files below ``root``, in a steady order; none where a folder cannot be read."""
    try:
        return sorted(root.glob(pattern))
    except OSError:
        return []


def read_celsius(path: Path) -> float | None:
    """Millidegrees as °C; None where absurd."""
    millidegrees = read_number(path)
    if millidegrees is None or not _COLDEST_C <= millidegrees / 1000 <= _HOTTEST_C:
        return None
    return millidegrees / 1000


def read_temperatures(root: Path) -> dict[str, float]:
    """Every thermal zone by its type, and every hwmon sensor that is not one of these zones."""
    zones = {
        path: read_text(path / "type") or path.name
        for path in find(root, "sys/class/thermal/thermal_zone*")
    }
    # The kernel shows a zone a second time as a hwmon device, with underscores in its name.
    shown = {kind.replace("-", "_") for kind in zones.values()}
    sensors = [(kind, path / "temp") for path, kind in zones.items()]
    sensors += [found for found in _hwmon_sensors(root) if found[0].split(".")[0] not in shown]
    readings: dict[str, float] = {}
    for name, path in sensors[:MAX_SENSORS]:
        celsius = read_celsius(path)
        if celsius is not None:
            readings[_unused(name[:60], readings)] = celsius
    return readings


def _hwmon_sensors(root: Path) -> Iterator[tuple[str, Path]]:
    for path in find(root, "sys/class/hwmon/hwmon*/temp*_input"):
        device = read_text(path.with_name("name")) or path.parent.name
        stem = path.name.removesuffix("_input")
        label = read_text(path.with_name(f"{stem}_label")) or stem
        yield f"{device}.{label}", path


def _unused(name: str, taken: dict[str, float]) -> str:
    """Two zones may have one type: the second becomes ``type.2``."""
    number, wanted = 1, name
    while wanted in taken:
        number += 1
        wanted = f"{name}.{number}"
    return wanted
