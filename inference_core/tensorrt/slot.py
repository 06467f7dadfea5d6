"""One inference at a time: a context, a lane and the buffers of every tensor, made once."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from inference_core.contract.manifest import ModelManifest
from inference_core.errors import InferenceFailed, LoadFailed
from inference_core.runtimes.base import Array
from inference_core.tensorrt.library import Library
from inference_core.tensorrt.memory import Bytes, Lane, OpenLane

_POLL_S = 0.0002


@dataclass
class _Buffer:
    """A tensor on both sides."""

    host: Bytes
    address: int
    dtype: np.dtype[Any]
    shape: tuple[int, ...] | None
    """None: the network itself finds out, and says so to the allocator."""

    def view(self, shape: tuple[int, ...]) -> Array:
        size = math.prod(shape) * self.dtype.itemsize
        return self.host[:size].view(self.dtype).reshape(shape)


class Slot:
    """Owns its lane and its context. ``start`` and ``finish`` alternate."""

    @classmethod
    def open(
        cls, library: Library, engine: Any, open_lane: OpenLane, manifest: ModelManifest
    ) -> Slot:
        """A slot on a lane of its own. Raises ``LoadFailed`` or ``CudaFailed``."""
        lane = open_lane()
        try:
            return cls(library, engine, lane, manifest)
        except BaseException:
            lane.close()
            raise

    def __init__(self, library: Library, engine: Any, lane: Lane, manifest: ModelManifest) -> None:
        self._library = library
        self._lane = lane
        self._context = engine.create_execution_context()
        if self._context is None:
            raise LoadFailed(f"{library.title} makes no context: {library.explain()}")
        self._open_profile(engine)
        self._allocator = _make_allocator(library.api)
        names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
        is_input = library.api.TensorIOMode.INPUT
        fed = [name for name in names if engine.get_tensor_mode(name) == is_input]
        self._set_shapes(fed, {spec.name: spec.fixed_shape for spec in manifest.inputs})
        self._inputs = {name: self._make_buffer(engine, name) for name in fed}
        self._outputs = {name: self._make_buffer(engine, name) for name in names if name not in fed}
        self._wanted = [spec.name for spec in manifest.outputs]

    def start(self, inputs: Mapping[str, Array]) -> None:
        """Queue copies, inference and copies back; the arrays are free again at return."""
        for name, buffer in self._inputs.items():
            shape = buffer.shape or ()
            array = inputs[name]
            if array.shape != shape or array.dtype != buffer.dtype:
                raise InferenceFailed(
                    f"input {name!r} came as {array.dtype} {array.shape}, "
                    f"and the engine takes {buffer.dtype} {shape}"
                )
            np.copyto(buffer.view(shape), array)
            self._lane.upload(buffer.address, buffer.host)
        self._library.log.errors.clear()
        is_queued = self._context.execute_async_v3(self._lane.stream)
        if is_queued:
            for buffer in self._outputs.values():
                self._lane.download(buffer.host, buffer.address)
        self._lane.mark()  # also behind a failure: the copies to the device are under way
        if not is_queued:
            raise InferenceFailed(f"{self._library.title}: {self._library.explain()}")

    def is_done(self) -> bool:
        """Whether what was started has ended."""
        return self._lane.is_done()

    def finish(self, timeout_s: float | None) -> dict[str, Array]:
        """The outputs, copied: the next start writes into the same memory."""
        self._wait(timeout_s)
        return {name: self._read(name) for name in self._wanted}

    def close(self) -> None:
        """Give the memory back: the context first, for it holds addresses of the lane."""
        self._context = None
        self._lane.close()

    def _wait(self, timeout_s: float | None) -> None:
        if timeout_s is None:
            self._lane.wait()
            return
        deadline = time.monotonic() + timeout_s
        while not self._lane.is_done():  # CUDA has no wait with a time limit
            if time.monotonic() >= deadline:
                raise InferenceFailed(f"{self._library.title}: no answer within {timeout_s:g} s")
            time.sleep(_POLL_S)

    def _read(self, name: str) -> Array:
        buffer = self._outputs[name]
        shape = self._allocator.shapes[name] if buffer.shape is None else buffer.shape
        return np.array(buffer.view(shape))

    def _open_profile(self, engine: Any) -> None:
        if engine.num_optimization_profiles and not self._context.set_optimization_profile_async(
            0, self._lane.stream
        ):
            raise LoadFailed(f"{self._library.title} gives no shapes: {self._library.explain()}")

    def _set_shapes(self, names: list[str], shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Of all inputs, before the outputs are asked for theirs."""
        for name in names:
            if name not in shapes or not self._context.set_input_shape(name, shapes[name]):
                raise LoadFailed(f"{self._library.title} does not take {shapes} for {name!r}")

    def _make_buffer(self, engine: Any, name: str) -> _Buffer:
        dtype = np.dtype(self._library.api.nptype(engine.get_tensor_dtype(name)))
        shape = tuple(self._context.get_tensor_shape(name))
        is_known = -1 not in shape
        size = math.prod(shape) * dtype.itemsize
        if not is_known:
            size = int(self._context.get_max_output_size(name))
        buffer = _Buffer(
            self._lane.pin(size), self._lane.allocate(size), dtype, shape if is_known else None
        )
        self._bind(name, buffer, size)
        return buffer

    def _bind(self, name: str, buffer: _Buffer, size: int) -> None:
        if buffer.shape is None:
            self._allocator.places[name] = (buffer.address, size)
            is_bound = self._context.set_output_allocator(name, self._allocator)
        else:
            is_bound = self._context.set_tensor_address(name, buffer.address)
        if not is_bound:
            raise LoadFailed(f"{self._library.title} does not take memory for {name!r}")


def _make_allocator(api: Any) -> Any:
    """Tells outputs whose size the network finds out where to go, and hears how long they are."""

    class Allocator(api.IOutputAllocator):  # type: ignore[misc]  # its base is known at run time
        def __init__(self) -> None:
            api.IOutputAllocator.__init__(self)
            self.places: dict[str, tuple[int, int]] = {}
            self.shapes: dict[str, tuple[int, ...]] = {}

        def reallocate_output_async(
            self, tensor_name: str, _memory: int, size: int, _alignment: int, _stream: int
        ) -> int:
            """Called by TensorRT; 0 tells it that there is no memory."""
            address, room = self.places[tensor_name]
            return address if size <= room else 0

        def notify_shape(self, tensor_name: str, shape: Any) -> None:
            self.shapes[tensor_name] = tuple(shape)

    return Allocator()
