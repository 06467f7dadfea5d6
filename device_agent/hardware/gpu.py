"""NVIDIA's GPU and TensorRT: what an engine is bound to, asked without loading either."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from device_agent.hardware.sysfs import find, read_text

_CAPABILITIES = {
    "tegra210": "5.3",
    "tegra186": "6.2",
    "tegra194": "7.2",
    "tegra234": "8.7",
    "tegra264": "11.0",
}
"""A Jetson's GPU is a part of its chip, and its driver has no program that tells."""

_PROGRAM = "usr/bin/nvidia-smi"
_QUESTION = ("--query-gpu=name,compute_cap", "--format=csv,noheader")
_TIMEOUT_S = 10


@dataclass(frozen=True)
class Gpu:
    """Its name by the driver, and its generation; empty is unknown."""

    name: str = ""
    compute_capability: str = ""


def read_gpu(root: Path, soc: str) -> Gpu:
    """The first GPU: of the chip on a Jetson, else what the driver says of the first card."""
    if soc in _CAPABILITIES:
        return Gpu(soc, _CAPABILITIES[soc])
    cards = find(root, "proc/driver/nvidia/gpus/*/information")
    return _ask_program(root) or Gpu(_read_model(cards[0]) if cards else "")


def read_driver(root: Path) -> str:
    """Version of NVIDIA's driver for cards; empty where none is loaded."""
    text = read_text(root / "proc/driver/nvidia/version") or ""
    found = re.search(r"\s(\d+\.\d+(?:\.\d+)?)\s", text.partition("\n")[0])
    return found[1] if found else ""


def read_tensorrt(root: Path) -> str:
    """The exact version that dpkg installed, as JetPack does; empty where it did not."""
    generation = max(_installed_generations(root / "var/lib/dpkg/info"), default=None)
    if generation is None:
        return ""
    version = _installed_version(root / "var/lib/dpkg/status", f"libnvinfer{generation}")
    return version.partition("-")[0]


def _installed_generations(folder: Path) -> Iterator[int]:
    """One by one: the folder has thousands of files, and a list of them would cost 0.7 MB."""
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if found := re.fullmatch(r"libnvinfer(\d+)(:\w+)?\.list", entry.name):
                    yield int(found[1])
    except OSError:
        return


def _ask_program(root: Path) -> Gpu | None:
    program = root / _PROGRAM
    if not program.exists():
        return None
    try:
        answer = subprocess.run(
            [program, *_QUESTION], capture_output=True, timeout=_TIMEOUT_S, check=True, text=True
        ).stdout
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return None  # installed without its driver, or the GPU has fallen off the bus
    found = re.fullmatch(r"([^,\n]{1,200}), (\d{1,2}\.\d)", answer.partition("\n")[0].strip())
    return Gpu(*found.groups()) if found else None


def _read_model(information: Path) -> str:
    lines = (read_text(information) or "").splitlines()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("Model:"))
    return next(names, "")[:200]


def _installed_version(status: Path, package: str) -> str:
    """Line by line: the file has megabytes, and the agent keeps none of them."""
    is_ours = False
    try:
        with status.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if line.startswith("Package: "):
                    is_ours = line.split()[1:] == [package]
                elif is_ours and line.startswith("Version: "):
                    return line.split()[1]
    except (OSError, IndexError):
        return ""
    return ""
