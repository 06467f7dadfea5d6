"""DeviceFacts, without importing a runtime: versions come from the installed packages."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path

from device_agent.hardware.generic import memory_bytes
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
    Path("/proc/device-tree/model"),
    Path("/sys/class/dmi/id/product_name"),
    Path("/sys/class/dmi/id/board_name"),
)


def read_facts() -> DeviceFacts:
    """What this box is; absent is unknown."""
    machine = platform.machine().lower()
    return DeviceFacts(
        architecture={"amd64": "x86_64", "arm64": "aarch64"}.get(machine, machine),
        system=platform.system().lower(),
        kernel=platform.release(),
        cpu_model=_cpu_model(),
        cpu_count=os.cpu_count() or 1,
        memory_bytes=memory_bytes() or 0,
        board=next(filter(None, map(_read_line, _BOARD_FILES)), ""),
        runtimes=_runtime_versions(),
        agent_version=__version__,
        python_version=platform.python_version(),
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


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "")


def _read_line(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip("\0\n ")[:200]
    except OSError:
        return ""
