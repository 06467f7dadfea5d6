"""Which board this is, what is plugged into it, and what its system software is."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Literal

from device_agent.hardware.gpu import read_driver, read_tensorrt
from device_agent.hardware.sysfs import find, read_text

Platform = Literal["jetson", "raspberry_pi", "coral", "generic"]

_COMPATIBLE: tuple[tuple[str, Platform], ...] = (
    ("nvidia,tegra", "jetson"),
    ("raspberrypi,", "raspberry_pi"),
    ("google,imx8mq-phanbell", "coral"),
    ("fsl,imx8mq-phanbell", "coral"),
)
_USB_ACCELERATORS = {
    ("1a6e", "089a"): "edgetpu-usb",  # before its firmware has been loaded
    ("18d1", "9302"): "edgetpu-usb",
    ("03e7", "2485"): "myriad-usb",
    ("03e7", "f63b"): "myriad-usb",  # booted
}
_INTEL = "0x8086"
_INTEL_DEVICES = {
    "intel-gpu": "sys/class/drm/renderD*/device/vendor",
    "intel-npu": "sys/class/accel/accel*/device/vendor",
}
"""What OpenVINO may compute on, beside the processor. Other makers have such devices too."""

_JETPACKS = {
    "32.7": "4.6",
    "35.1": "5.0.2",
    "35.2": "5.1",
    "35.3": "5.1.1",
    "35.4": "5.1.2",
    "35.5": "5.1.3",
    "35.6": "5.1.4",
    "36.2": "6.0",
    "36.3": "6.0",
    "36.4": "6.1",
    "36.4.3": "6.2",
    "36.4.4": "6.2.1",
    "36.4.7": "6.2.1",
    "36.5": "6.2.2",
    "38.2": "7.0",
    "38.4": "7.1",
    "39.2": "7.2",
    "39.2.1": "7.2.1",
    "39.2.2": "7.2.2",
}
"""L4T to JetPack: the longest beginning that fits. A later L4T of a line is named by its line."""


def read_platform(root: Path) -> Platform:
    """By the device tree; a container may hide it, then NVIDIA's release file tells."""
    for name in _compatible(root):
        for beginning, platform in _COMPATIBLE:
            if name.startswith(beginning):
                return platform
    return "jetson" if (root / "etc/nv_tegra_release").exists() else "generic"


def read_soc(root: Path) -> str:
    """The chip, as the device tree's most general name has it: tegra234, bcm2712."""
    names = _compatible(root)
    return names[-1].partition(",")[2][:100] if names else ""


def read_accelerators(root: Path) -> tuple[str, ...]:
    """Chips that run models, beside the processor and a Jetson's own GPU."""
    found = ["edgetpu-pcie" for _ in find(root, "sys/class/apex/apex_*")]
    for path in find(root, "sys/bus/usb/devices/*/idVendor"):
        ids = (read_text(path) or "", read_text(path.with_name("idProduct")) or "")
        if ids in _USB_ACCELERATORS:
            found.append(_USB_ACCELERATORS[ids])
    for name, pattern in _INTEL_DEVICES.items():
        vendors = {read_text(path) for path in find(root, pattern)}
        found += [name] if _INTEL in vendors else []
    return tuple(sorted(found))


def read_software(root: Path) -> dict[str, str]:
    """Name to version of what an engine is bound to; what is absent is left out."""
    l4t = _read_l4t(root)
    found = {
        "l4t": l4t,
        "jetpack": name_jetpack(l4t),
        "cuda": _read_cuda(root),
        "tensorrt": read_tensorrt(root),
        "nvidia_driver": read_driver(root),
        "os": _read_os(root),
    }
    return {name: version[:100] for name, version in found.items() if version}


def name_jetpack(l4t: str) -> str:
    """The JetPack that a Jetson Linux belongs to; empty where none is known."""
    parts = l4t.split(".")
    beginnings = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((_JETPACKS[beginning] for beginning in beginnings if beginning in _JETPACKS), "")


def _compatible(root: Path) -> list[str]:
    return (read_text(root / "proc/device-tree/compatible") or "").split("\0")


def _read_l4t(root: Path) -> str:
    text = read_text(root / "etc/nv_tegra_release") or ""
    found = re.search(r"R(\d+) \(release\), REVISION: (\d+(?:\.\d+)*)", text)
    return ".".join(found.groups()) if found else ""


def _read_cuda(root: Path) -> str:
    folder = root / "usr/local/cuda"
    try:
        version = json.loads(read_text(folder / "version.json") or "{}")["cuda"]["version"]
    except (ValueError, KeyError, TypeError):
        text = read_text(folder / "version.txt") or ""  # CUDA 10
        version = text.removeprefix("CUDA Version ").strip()
    return str(version)


def _read_os(root: Path) -> str:
    lines = (read_text(root / "etc/os-release") or "").splitlines()
    fields = dict(line.split("=", 1) for line in lines if "=" in line)
    names = (fields.get(key, "").strip("\"'") for key in ("ID", "VERSION_ID"))
    return " ".join(name for name in names if name)
