"""Lanes by pycuda, which JetPack's users have; the context is the device's primary one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pycuda.driver as cuda

from inference_core.tensorrt.memory import Bytes, CudaFailed


class PycudaLane:
    """A stream of the primary context, made current for each call: the thread may change."""

    def __init__(self) -> None:
        self._device: list[Any] = []
        self._pinned: list[Any] = []
        try:
            cuda.init()
            self._context = cuda.Device(0).retain_primary_context()
        except cuda.Error as error:
            raise CudaFailed(f"CUDA: {error}") from error
        with self._current():
            self._stream = cuda.Stream()
            # Blocking: whoever waits for a GPU sleeps, and leaves its core to the other cameras.
            flags = cuda.event_flags
            self._event = cuda.Event(flags.BLOCKING_SYNC | flags.DISABLE_TIMING)
        self.stream = int(self._stream.handle)

    def pin(self, size: int) -> Bytes:
        """A page-locked host array."""
        with self._current():
            array: Bytes = cuda.pagelocked_empty(size, np.uint8)
        self._pinned.append(array.base)
        return array

    def allocate(self, size: int) -> int:
        """The address of device memory."""
        with self._current():
            memory = cuda.mem_alloc(max(size, 1))
        self._device.append(memory)
        return int(memory)

    def upload(self, address: int, host: Bytes) -> None:
        """Queue a copy to the device."""
        with self._current():
            cuda.memcpy_htod_async(address, host, self._stream)

    def download(self, host: Bytes, address: int) -> None:
        """Queue a copy from the device."""
        with self._current():
            cuda.memcpy_dtoh_async(host, address, self._stream)

    def mark(self) -> None:
        """Queue an event."""
        with self._current():
            self._event.record(self._stream)

    def is_done(self) -> bool:
        """Whether the last mark was reached."""
        with self._current():
            return bool(self._event.query())

    def wait(self) -> None:
        """Sleep until the last mark is reached."""
        with self._current():
            self._event.synchronize()

    def close(self) -> None:
        """Give all memory back."""
        with self._current():
            self._stream.synchronize()
            for memory in [*self._device, *self._pinned]:
                memory.free()
            self._device, self._pinned = [], []

    @contextmanager
    def _current(self) -> Iterator[None]:
        """The message of pycuda has the name of the call and of the error."""
        self._context.push()
        try:
            yield
        except cuda.Error as error:
            raise CudaFailed(f"CUDA: {error}") from error
        finally:
            cuda.Context.pop()
