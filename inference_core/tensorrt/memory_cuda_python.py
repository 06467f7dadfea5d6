"""Lanes by NVIDIA's cuda-python."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
from cuda.bindings import runtime as cudart

from inference_core.tensorrt.memory import Bytes, CudaFailed


class CudaPythonLane:
    """A stream of the device's primary context, which TensorRT uses too."""

    def __init__(self) -> None:
        self._pinned: list[int] = []
        self._device: list[int] = []
        self._stream = _check(cudart.cudaStreamCreateWithFlags(cudart.cudaStreamNonBlocking))
        # Blocking: whoever waits for a GPU sleeps, and leaves its core to the other cameras.
        self._event = _check(
            cudart.cudaEventCreateWithFlags(
                cudart.cudaEventBlockingSync | cudart.cudaEventDisableTiming
            )
        )
        self.stream = int(self._stream)

    def pin(self, size: int) -> Bytes:
        """A page-locked host array."""
        pointer = int(_check(cudart.cudaMallocHost(max(size, 1))))
        self._pinned.append(pointer)
        memory: Bytes = np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(pointer))
        return memory

    def allocate(self, size: int) -> int:
        """The address of device memory."""
        address = int(_check(cudart.cudaMalloc(max(size, 1))))
        self._device.append(address)
        return address

    def upload(self, address: int, host: Bytes) -> None:
        """Queue a copy to the device."""
        kind = cudart.cudaMemcpyKind.cudaMemcpyHostToDevice
        _check(cudart.cudaMemcpyAsync(address, host.ctypes.data, host.size, kind, self._stream))

    def download(self, host: Bytes, address: int) -> None:
        """Queue a copy from the device."""
        kind = cudart.cudaMemcpyKind.cudaMemcpyDeviceToHost
        _check(cudart.cudaMemcpyAsync(host.ctypes.data, address, host.size, kind, self._stream))

    def mark(self) -> None:
        """Queue an event."""
        _check(cudart.cudaEventRecord(self._event, self._stream))

    def is_done(self) -> bool:
        """Whether the last mark was reached."""
        result = cudart.cudaEventQuery(self._event)
        if result[0] == cudart.cudaError_t.cudaErrorNotReady:
            return False
        _check(result)
        return True

    def wait(self) -> None:
        """Sleep until the last mark is reached."""
        _check(cudart.cudaEventSynchronize(self._event))

    def close(self) -> None:
        """Give all memory back."""
        _check(cudart.cudaStreamSynchronize(self._stream))
        for address in self._device:
            _check(cudart.cudaFree(address))
        for pointer in self._pinned:
            _check(cudart.cudaFreeHost(pointer))
        self._device, self._pinned = [], []
        _check(cudart.cudaEventDestroy(self._event))
        _check(cudart.cudaStreamDestroy(self._stream))


def _check(result: tuple[Any, ...]) -> Any:
    """The value behind the error code; cuda-python answers with a tuple that begins with it."""
    code, *values = result
    if code != cudart.cudaError_t.cudaSuccess:
        raise CudaFailed(f"CUDA: {getattr(code, 'name', code)}")
    return values[0] if values else None
