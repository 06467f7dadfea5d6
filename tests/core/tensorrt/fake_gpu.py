"""A GPU of numpy arrays: only what a chip is needed for is played here, the lane and the context.

Types, names and the output allocator are TensorRT's own. Work is queued and done when somebody
waits, so an answer that is read too early is seen.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from inference_core.tensorrt.library import find_library
from inference_core.tensorrt.memory import Bytes, CudaFailed
from tests.core.tensorrt import engines  # noqa: F401  # skips where there is no TensorRT

LIBRARY = find_library("rtx")
API = LIBRARY.api


class FakeGpu:
    """Device memory by address, and lanes over it. Set ``fails_at`` to run out of memory."""

    def __init__(self, *, fails_at: int | None = None) -> None:
        self.memory: dict[int, Bytes] = {}
        self.lanes: dict[int, FakeLane] = {}
        self.fails_at = fails_at
        self.hangs = False

    def open_lane(self) -> FakeLane:
        lane = FakeLane(self, stream=len(self.lanes) + 1)
        self.lanes[lane.stream] = lane
        return lane


class FakeLane:
    def __init__(self, gpu: FakeGpu, stream: int) -> None:
        self._gpu = gpu
        self.stream = stream
        self.queue: list[Callable[[], None]] = []
        self.addresses: list[int] = []
        self.is_closed = False

    def pin(self, size: int) -> Bytes:
        return np.full(size, 0xAA, np.uint8)

    def allocate(self, size: int) -> int:
        if self._gpu.fails_at is not None and len(self._gpu.memory) >= self._gpu.fails_at:
            raise CudaFailed("CUDA: cudaErrorMemoryAllocation")
        address = 4096 * (len(self._gpu.memory) + 1)
        self._gpu.memory[address] = np.zeros(size, np.uint8)
        self.addresses.append(address)
        return address

    def upload(self, address: int, host: Bytes) -> None:
        self.queue.append(lambda: np.copyto(self._gpu.memory[address], host))

    def download(self, host: Bytes, address: int) -> None:
        self.queue.append(lambda: np.copyto(host, self._gpu.memory[address]))

    def mark(self) -> None:
        pass

    def is_done(self) -> bool:
        if not self._gpu.hangs:
            self.wait()
        return not self.queue

    def wait(self) -> None:
        while self.queue:
            self.queue.pop(0)()

    def close(self) -> None:
        self.is_closed = True
        for address in self.addresses:
            del self._gpu.memory[address]
        self.addresses = []


class FakeEngine:
    """Takes float32 ``image`` n×2×2 and gives ``double``, and ``found``: its positive values."""

    num_io_tensors = 3

    def __init__(self, gpu: FakeGpu, *, profiles: int = 0) -> None:
        self.gpu = gpu
        self.num_optimization_profiles = profiles
        self.refuses = ""
        self.runs = 0

    def create_execution_context(self) -> FakeContext | None:
        return None if self.refuses == "context" else FakeContext(self)

    def get_tensor_name(self, index: int) -> str:
        return ("image", "double", "found")[index]

    def get_tensor_mode(self, name: str) -> Any:
        return API.TensorIOMode.INPUT if name == "image" else API.TensorIOMode.OUTPUT

    def get_tensor_dtype(self, name: str) -> Any:
        return API.DataType.FLOAT


class FakeContext:
    def __init__(self, engine: FakeEngine) -> None:
        self._engine = engine
        self._shape: tuple[int, ...] = ()
        self._addresses: dict[str, int] = {}
        self._allocator: Any = None
        self.profile: tuple[int, int] | None = None

    def set_optimization_profile_async(self, index: int, stream: int) -> bool:
        self.profile = (index, stream)
        return self._engine.refuses != "profile"

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        self._shape = tuple(shape)
        return self._engine.refuses != "shape"

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return (-1,) if name == "found" else self._shape

    def get_max_output_size(self, name: str) -> int:
        return int(np.prod(self._shape)) * 4

    def set_tensor_address(self, name: str, address: int) -> bool:
        self._addresses[name] = address
        return self._engine.refuses != "address"

    def set_output_allocator(self, name: str, allocator: Any) -> bool:
        self._allocator = allocator
        return True

    def execute_async_v3(self, stream: int) -> bool:
        self._engine.runs += 1
        if self._engine.refuses == "run":
            LIBRARY.log.log(API.ILogger.Severity.ERROR, "enqueueV3: Error Code 1: Cuda Runtime")
            return False
        self._engine.gpu.lanes[stream].queue.append(self._compute)
        return True

    def _compute(self) -> None:
        memory = self._engine.gpu.memory
        image = memory[self._addresses["image"]].view(np.float32)
        memory[self._addresses["double"]].view(np.float32)[:] = image * 2
        found = image[image > 0]
        place = self._allocator.reallocate_output_async("found", 0, found.nbytes, 256, 0)
        memory[place][: found.nbytes] = found.view(np.uint8)
        self._allocator.notify_shape("found", (found.size,))
