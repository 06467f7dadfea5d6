"""DeviceFacts, without importing a runtime: versions come from the installed packages."""

from __future__ import annotations

import os
import platform
from contextlib import suppress
from importlib import metadata
from pathlib import Path

from device_agent.hardware.generic import memory_bytes
from device_agent.hardware.gpu import read_gpu
from device_agent.hardware.platform import (
    read_accelerators,
    read_platform,
    read_soc,
    read_software,
)
from device_agent.hardware.sysfs import read_text
from inference_core import __version__
from inference_core.contract.device import DeviceFacts

_RUNTIMES: dict[str, tuple[str, ...]] = {
    "onnxruntime": ("onnxruntime", "onnxruntime-gpu"),
    "openvino": ("openvino",),
    "opencv_dnn": ("opencv-python-headless", "opencv-python"),
    "litert": ("ai-edge-litert", "tflite-runtime"),
    "tensorrt": ("tensorrt",),
    "tensorrt_rtx": ("tensorrt-rtx", "tensorrt-rtx-cu13-bindings", "tensorrt-rtx-cu12-bindings"),
}
_BOARD_FILES = (
    "proc/device-tree/model",
    "sys/class/dmi/id/product_name",
    "sys/class/dmi/id/board_name",
)


def read_facts(root: Path = Path("/")) -> DeviceFacts:
    """What this box is; absent is unknown. ``root`` may be a recorded tree."""
    machine, soc = platform.machine().lower(), read_soc(root)
    gpu = read_gpu(root, soc)
    return DeviceFacts(
        architecture={"amd64": "x86_64", "arm64": "aarch64"}.get(machine, machine),
        system=platform.system().lower(),
        kernel=platform.release(),
        cpu_model=_cpu_model(root),
        cpu_count=os.cpu_count() or 1,
        memory_bytes=memory_bytes() or 0,
        board=next(filter(None, (read_text(root / name) for name in _BOARD_FILES)), "")[:200],
        soc=soc,
        runtimes=_runtime_versions(),
        agent_version=__version__,
        python_version=platform.python_version(),
        platform=read_platform(root),
        accelerators=read_accelerators(root),
        software=read_software(root),
        gpu=gpu.name,
        compute_capability=gpu.compute_capability,
    )


def _runtime_versions() -> dict[str, str]:
    versions = {runtime: _installed(packages) for runtime, packages in _RUNTIMES.items()}
    return {runtime: version for runtime, version in versions.items() if version}


def _installed(packages: tuple[str, ...]) -> str:
    """Version of the first of these that is installed; empty for none."""
    for package in packages:
        with suppress(metadata.PackageNotFoundError):
            return metadata.version(package)
    return ""


def _cpu_model(root: Path) -> str:
    lines = (read_text(root / "proc/cpuinfo") or "").splitlines()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "")
