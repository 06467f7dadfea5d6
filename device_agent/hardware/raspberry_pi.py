"""Raspberry Pi: the firmware says why it slows the processor down."""

from __future__ import annotations

import subprocess
from pathlib import Path

from device_agent.hardware.board import Readings
from device_agent.hardware.sysfs import find, read_number, read_temperatures, read_text

_FILES = (
    "sys/devices/platform/soc/soc:firmware/get_throttled",
    "sys/devices/platform/soc@*/soc*:firmware/get_throttled",
)
_PROGRAM = "usr/bin/vcgencmd"
_REASONS = {
    0: "undervoltage",
    1: "frequency-capped",
    2: "throttled",
    3: "soft-temperature-limit",
}
_SINCE_BOOT = 16
"""Bits 0 to 3 are about now; the same four from bit 16 on stay set until the next boot."""


class RaspberryPi:
    """``root`` is ``/``, or a recorded tree."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._seen: int | None = None

    def read(self) -> Readings:
        """Nothing is known of power: no file tells it, and on most models nothing measures it."""
        bits = self._firmware_bits()
        if bits is None:
            throttled, reasons = self._undervoltage()
        else:
            reasons = self._reasons(bits)
            throttled = bool(reasons)
        return Readings(
            temperatures_c=read_temperatures(self._root),
            throttled=throttled,
            throttle_reasons=reasons,
        )

    def _reasons(self, bits: int) -> tuple[str, ...]:
        """What holds now, and what came and went since the reading before."""
        news = 0 if self._seen is None else bits & ~self._seen
        self._seen = bits
        current = bits | news >> _SINCE_BOOT
        return tuple(reason for bit, reason in _REASONS.items() if current >> bit & 1)

    def _firmware_bits(self) -> int | None:
        for pattern in _FILES:
            for path in find(self._root, pattern):
                bits = read_number(path, base=16)
                if bits is not None:
                    return bits
        return self._ask_program()

    def _ask_program(self) -> int | None:
        """Newer kernels have no such file: the firmware's own program asks it, in milliseconds."""
        program = self._root / _PROGRAM
        if not program.exists():
            return None
        try:
            answer = subprocess.run(
                [program, "get_throttled"], capture_output=True, timeout=2, check=True, text=True
            ).stdout
            return int(answer.partition("=")[2], 16)
        except (OSError, subprocess.SubprocessError, ValueError):
            return None  # it needs the video group; the voltage alarm below needs nothing

    def _undervoltage(self) -> tuple[bool | None, tuple[str, ...]]:
        for path in find(self._root, "sys/class/hwmon/hwmon*/in0_lcrit_alarm"):
            alarm = read_number(path)
            if read_text(path.with_name("name")) == "rpi_volt" and alarm is not None:
                # No alarm does not say that heat does not throttle it.
                return (True, (_REASONS[0],)) if alarm else (None, ())
        return None, ()
