"""DeviceFacts, without importing a runtime: versions come from the installed packages."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path

from device_agent.hardware.generic import memory_bytes
from device_agent.hardware.platform import (
    read_accelerators,
    read_platform,
    read_soc,
    read_software,
)
from device_agent.hardware.sysfs import read_text
from inference_core import __version__
from inference_core.contract.device import DeviceFacts

_RUNTIMES = {
    "onnxruntime": ("onnxruntime", "onnxruntime-gpu"),
    "openvino": ("openvino",),
    "opencv_dnn": ("opencv-python-headless", "opencv-python"),
    "litert": ("ai-edge-litert", "tflite-runtime"),
    "tensorrt": ("tensorrt",),
}
_BOARD_FILES = (
    "proc/device-tree/model",
    "sys/class/dmi/id/product_name",
    "sys/class/dmi/id/board_name",
)


def read_facts(root: Path = Path("/")) -> DeviceFacts:
    """What this box is; absent is unknown. ``root`` may be a recorded tree."""
    machine = platform.machine().lower()
    return DeviceFacts(
        architecture={"amd64": "x86_64", "arm64": "aarch64"}.get(machine, machine),
        system=platform.system().lower(),
        kernel=platform.release(),
        cpu_model=_cpu_model(root),
        cpu_count=os.cpu_count() or 1,
        memory_bytes=memory_bytes() or 0,
        board=next(filter(None, (read_text(root / name) for name in _BOARD_FILES)), "")[:200],
        soc=read_soc(root),
        runtimes=_runtime_versions(),
        agent_version=__version__,
        python_version=platform.python_version(),
        platform=read_platform(root),
        accelerators=read_accelerators(root),
        software=read_software(root),
    )


def _runtime_versions() -> dict[str, str]:
    versions = {}
    for runtime, packages in _RUNTIMES.items():
        for package in packages:
            try:
                versions[runtime] = metadata.version(package)
                break
            except metadata.PackageNotFoundError:
                continue
    return versions


def _cpu_model(root: Path) -> str:
    lines = (read_text(root / "proc/cpuinfo") or "").splitlines()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "")
