"""The seam to CUDA: streams, page-locked arrays, device memory and copies; nothing of TensorRT."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from inference_core.errors import InferenceFailed, RuntimeUnavailable

Bytes = NDArray[np.uint8]


class CudaFailed(InferenceFailed):
    """CUDA gave up; the text has the error's own name."""


class Lane(Protocol):
    """A stream with its memory. What is queued on it happens in order.

    Every method raises ``CudaFailed``. Not thread-safe, but any thread may be the one.
    """

    stream: int
    """The handle that TensorRT takes."""

    def pin(self, size: int) -> Bytes:
        """A page-locked host array: only from such a one does a copy run beside the CPU."""

    def allocate(self, size: int) -> int:
        """The address of device memory."""

    def upload(self, address: int, host: Bytes) -> None:
        """Queue a copy of a pinned array to the device."""

    def download(self, host: Bytes, address: int) -> None:
        """Queue a copy from the device to a pinned array."""

    def mark(self) -> None:
        """Queue an event behind all that is queued so far."""

    def is_done(self) -> bool:
        """Whether the last mark was reached."""

    def wait(self) -> None:
        """Sleep until the last mark is reached."""

    def close(self) -> None:
        """Give all memory back; the pinned arrays must not be touched again."""


OpenLane = Callable[[], Lane]


def find_memory() -> OpenLane:
    """What opens a lane on the first GPU: pycuda where JetPack has it, else cuda-python."""
    if find_spec("pycuda"):
        from inference_core.tensorrt.memory_pycuda import PycudaLane

        return PycudaLane
    if _has_cuda_python():
        from inference_core.tensorrt.memory_cuda_python import CudaPythonLane

        return CudaPythonLane
    raise RuntimeUnavailable(
        "TensorRT needs pycuda or cuda-python beside it; on a Jetson: "
        "pip install pycuda, elsewhere: pip install cuda-python"
    )


def _has_cuda_python() -> bool:
    try:
        return find_spec("cuda.bindings") is not None
    except ModuleNotFoundError:  # there is no package called cuda at all
        return False
