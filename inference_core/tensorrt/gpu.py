"""Which NVIDIA GPU this machine has: asked of the driver, without TensorRT and without CUDA.

Some TensorRT libraries crash where there is no GPU, so the driver is asked first.
"""

from __future__ import annotations

import ctypes
import re
from dataclasses import dataclass
from pathlib import Path

from inference_core.errors import RuntimeUnavailable

_DRIVER = "libcuda.so.1"
_TEGRA_RELEASE = Path("/etc/nv_tegra_release")
_MAJOR, _MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, _MINOR
_NAME_BYTES = 256


@dataclass(frozen=True)
class Gpu:
    """A GPU as its driver tells of it."""

    name: str
    compute_capability: str
    """For example "8.7"."""
    cuda: str
    """The newest CUDA that the driver knows, for example "12.6"."""


def find_gpu(driver: str = _DRIVER) -> Gpu:
    """The first GPU. Raises ``RuntimeUnavailable`` with the driver's own error."""
    try:
        cuda = ctypes.CDLL(driver)
    except OSError as error:
        raise RuntimeUnavailable(
            f"there is no NVIDIA driver here ({error}); install it, on a Jetson with JetPack"
        ) from error
    _call(cuda, "cuInit", 0)
    device = ctypes.c_int()
    _call(cuda, "cuDeviceGet", ctypes.byref(device), 0)
    major, minor = (_read_attribute(cuda, number, device) for number in (_MAJOR, _MINOR))
    return Gpu(_read_name(cuda, device), f"{major}.{minor}", _read_cuda_version(cuda))


def find_l4t(release: Path = _TEGRA_RELEASE) -> str:
    """The L4T release of a Jetson, for example "36.4.3"; empty on other machines."""
    try:
        text = release.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    found = re.search(r"R(\d+) \(release\), REVISION: ([\d.]+)", text)
    return f"{found[1]}.{found[2]}" if found else ""


def _read_attribute(cuda: ctypes.CDLL, number: int, device: ctypes.c_int) -> int:
    value = ctypes.c_int()
    _call(cuda, "cuDeviceGetAttribute", ctypes.byref(value), number, device)
    return value.value


def _read_name(cuda: ctypes.CDLL, device: ctypes.c_int) -> str:
    name = ctypes.create_string_buffer(_NAME_BYTES)
    _call(cuda, "cuDeviceGetName", name, _NAME_BYTES, device)
    return name.value.decode(errors="replace")


def _read_cuda_version(cuda: ctypes.CDLL) -> str:
    version = ctypes.c_int()
    _call(cuda, "cuDriverGetVersion", ctypes.byref(version))
    return f"{version.value // 1000}.{version.value % 1000 // 10}"


def _call(cuda: ctypes.CDLL, function: str, *arguments: object) -> None:
    code = getattr(cuda, function)(*arguments)
    if code == 0:
        return
    name = ctypes.c_char_p()
    cuda.cuGetErrorName(code, ctypes.byref(name))
    words = name.value.decode(errors="replace") if name.value else "an unknown error"
    raise RuntimeUnavailable(f"the NVIDIA driver gives no GPU: {function} said {words} ({code})")
