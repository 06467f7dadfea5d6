"""NVIDIA Jetson, by the files of Jetson Linux (L4T 32 to 39); jetson-stats fills what they lack."""

from __future__ import annotations

import threading
from importlib.util import find_spec
from pathlib import Path

from device_agent.hardware.board import Readings, Rises
from device_agent.hardware.sysfs import find, read_number, read_temperatures, read_text
from device_agent.log import logger

_GPU_LOADS = (
    "sys/devices/gpu.0/load",  # L4T 32 to 35
    "sys/devices/platform/gpu.0/load",  # L4T 36
    "sys/class/devfreq/*.gpu/device/load",
    "sys/class/devfreq/*.g[apv]1*b/device/load",
)
_WHOLE_BOARD = ("VIN", "VDD_IN", "POM_5V_IN")
_OVERCURRENTS = {
    1: "undervoltage",
    2: "average-overcurrent",
    3: "instantaneous-overcurrent",
}
_THROTTLING = ("-throttle-alert", "-balanced")
"""Endings of the cooling devices that slow the chip down, of L4T 35 and later, and of 32."""

_JTOP_EVERY_S = 5.0
_MOST_W = 1000.0


class Jetson:
    """``root`` is ``/``, or a recorded tree. Orin and older need files only; Thor needs more."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._rises = Rises()
        self._jtop = _Jtop() if find_spec("jtop") else None

    def read(self) -> Readings:
        """The hardware's own throttling counts too: current limits never show as heat."""
        temperatures_c = read_temperatures(self._root)
        throttled, reasons = self._throttling()
        power_w, gpu_share = self._power_w(), self._gpu_share()
        if self._jtop and (power_w is None or gpu_share is None):
            jtop_w, jtop_share = self._jtop.newest()
            power_w = jtop_w if power_w is None else power_w
            gpu_share = jtop_share if gpu_share is None else gpu_share
        return Readings(
            # The PMIC's zone is a constant that stands for a trip point, not a measurement.
            temperatures_c={n: c for n, c in temperatures_c.items() if not n.startswith("PMIC")},
            power_w=power_w,
            gpu_share=gpu_share,
            throttled=throttled,
            throttle_reasons=reasons,
        )

    def _power_w(self) -> float | None:
        """The rail that feeds the board; where none is measured, all rails together."""
        rails = {**self._rails_of_hwmon(), **self._rails_of_iio()}
        whole = next((rails[name] for name in _WHOLE_BOARD if name in rails), None)
        watts = whole if whole is not None else sum(rails.values())
        return round(watts, 3) if rails and 0 <= watts < _MOST_W else None

    def _rails_of_hwmon(self) -> dict[str, float]:
        """L4T 35 and later: millivolts times milliamperes; Thor's input has watts of its own."""
        rails: dict[str, float] = {}
        for monitor in find(self._root, "sys/bus/i2c/devices/*/hwmon/hwmon*"):
            chip = read_text(monitor / "name") or ""
            if chip.startswith("ina238") and (watts := read_number(monitor / "power1_input")):
                rails["VIN"] = watts / 1e6
            for number in (1, 2, 3):  # 4 to 7 are shunt voltages and their sum
                label = read_text(monitor / f"in{number}_label")
                millivolts = read_number(monitor / f"in{number}_input")
                milliamperes = read_number(monitor / f"curr{number}_input")
                if label and label != "NC" and None not in (millivolts, milliamperes):
                    rails[label] = (millivolts or 0) * (milliamperes or 0) / 1e6
        return rails

    def _rails_of_iio(self) -> dict[str, float]:
        """L4T 32: milliwatts, by the name of the rail."""
        rails: dict[str, float] = {}
        for path in find(self._root, "sys/bus/i2c/devices/*/iio:device*/rail_name_*"):
            name, number = read_text(path), path.name.rpartition("_")[2]
            milliwatts = read_number(path.with_name(f"in_power{number}_input"))
            if name and milliwatts is not None:
                rails[name] = milliwatts / 1000
        return rails

    def _gpu_share(self) -> float | None:
        for pattern in _GPU_LOADS:
            for path in find(self._root, pattern):
                tenths = read_number(path)  # EAGAIN while the GPU's power is gated
                if tenths is not None and 0 <= tenths <= 1000:
                    return tenths / 1000
        return None

    def _throttling(self) -> tuple[bool | None, tuple[str, ...]]:
        states, reasons = 0, []
        for path in find(self._root, "sys/class/thermal/cooling_device*"):
            kind, state = read_text(path / "type") or "", read_number(path / "cur_state")
            if kind.endswith(_THROTTLING) and state is not None:
                states += 1
                reasons += [kind] if state > 0 else []
        for number, reason in _OVERCURRENTS.items():
            for path in find(self._root, f"sys/class/hwmon/hwmon*/oc{number}_event_cnt"):
                count = read_number(path)
                if count is not None:
                    states += 1
                    reasons += [reason] if self._rises.by(reason, count) else []
        return (bool(reasons) if states else None), tuple(dict.fromkeys(reasons))


class _Jtop:
    """What the service of jetson-stats knows beyond files, heard on a thread of its own.

    It may take seconds to answer, and health must not wait for it.
    """

    def __init__(self) -> None:
        self._newest: tuple[float | None, float | None] = (None, None)
        self._thread: threading.Thread | None = None

    def newest(self) -> tuple[float | None, float | None]:
        """Watts of the board and share of the GPU, as they were said last."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._listen, name="jtop", daemon=True)
            self._thread.start()
        return self._newest

    def _listen(self) -> None:
        try:
            from jtop import jtop

            with jtop(interval=_JTOP_EVERY_S) as jetson:
                while jetson.ok():
                    self._newest = (_total_w(jetson.power), _load_share(jetson.gpu))
        except Exception as error:  # noqa: BLE001 - another project's service: anything may come
            logger.warning("jetson-stats says nothing, files will have to do: %s", error)
        self._newest = (None, None)  # old readings are worse than none


def _total_w(power: object) -> float | None:
    total = power.get("tot", {}).get("power") if isinstance(power, dict) else None
    return total / 1000 if isinstance(total, int | float) and total >= 0 else None


def _load_share(gpu: object) -> float | None:
    chips = list(gpu.values()) if hasattr(gpu, "values") else []
    load = chips[0].get("status", {}).get("load") if chips else None
    return load / 100 if isinstance(load, int | float) and 0 <= load <= 100 else None
