"""TensorRT 10, 11 and RTX on an NVIDIA GPU: engines that were built for just this one."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from inference_core.contract.manifest import ModelManifest, TensorSpec
from inference_core.contract.words import RuntimeName
from inference_core.errors import InferenceFailed, LoadFailed
from inference_core.runtimes.base import DEFAULT_OPTIONS, Array, SessionOptions, check_tensors
from inference_core.tensorrt.engine_file import (
    EngineFacts,
    read_facts,
    read_plan,
    refuse_gpu,
    refuse_library,
)
from inference_core.tensorrt.gpu import find_gpu
from inference_core.tensorrt.library import Library, find_library
from inference_core.tensorrt.memory import CudaFailed, OpenLane, find_memory
from inference_core.tensorrt.slot import Slot


class TensorRtSession:
    """An engine with one slot for each inference in flight. The GPU works while the CPU does."""

    def __init__(self, slots: Sequence[Slot], manifest: ModelManifest, keep: object) -> None:
        self._keep = keep  # the engine and its runtime, which must outlive the slots
        self._slots = list(slots)
        self._free = list(slots)
        self._open: list[Slot] = []
        self._late: list[Slot] = []
        self.inputs: tuple[TensorSpec, ...] = manifest.inputs
        self.outputs: tuple[TensorSpec, ...] = manifest.outputs
        self.metadata: dict[str, str] = {}

    @property
    def max_in_flight(self) -> int:
        """How many tickets may be open."""
        return len(self._slots)

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Every output of the manifest by its name."""
        return self.wait(self.submit(inputs))

    def submit(self, inputs: Mapping[str, Array]) -> Slot:
        """Starts an inference; the inputs are copied before this returns."""
        slot = self._take()
        try:
            slot.start(inputs)
        except BaseException:
            self._late.append(slot)
            raise
        self._open.append(slot)
        return slot

    def wait(self, ticket: object, timeout_s: float | None = None) -> dict[str, Array]:
        """The outputs. After a time-out the slot stays taken until the GPU is done with it."""
        if not isinstance(ticket, Slot) or ticket not in self._open:
            raise InferenceFailed("this is no open ticket of this session")
        self._open.remove(ticket)
        try:
            outputs = ticket.finish(timeout_s)
        except BaseException:
            self._late.append(ticket)
            raise
        self._free.append(ticket)
        return outputs

    def close(self) -> None:
        """Gives the memory back, even where the GPU is past answering."""
        for slot in self._slots:
            with suppress(CudaFailed):  # the process's end frees what a dead context cannot
                slot.close()
        self._slots, self._free, self._open, self._late = [], [], [], []
        self._keep = None

    def _take(self) -> Slot:
        if not self._slots:
            raise InferenceFailed("the session is closed")
        for slot in [slot for slot in self._late if slot.is_done()]:
            self._late.remove(slot)
            self._free.append(slot)
        if not self._free:
            raise InferenceFailed(f"all {len(self._slots)} inferences in flight are taken")
        return self._free.pop(0)


class TensorRt:
    """The TensorRT that is installed; the engine says which flavour it needs."""

    name = RuntimeName.TENSORRT

    def version(self) -> str:
        """The library's version. Raises ``RuntimeUnavailable`` also where there is no GPU."""
        library = find_library()
        find_gpu()
        return library.version

    def load(
        self, path: Path, manifest: ModelManifest, options: SessionOptions = DEFAULT_OPTIONS
    ) -> TensorRtSession:
        """Loads an engine file, once its facts suit manifest, library and GPU, in this order.

        Only then does TensorRT see the plan. Raises ``RuntimeUnavailable`` where library, driver
        or GPU are absent.
        """
        facts = read_facts(path)
        _check_manifest(path, facts, manifest)
        library = find_library(facts.flavour)
        if reason := refuse_library(facts, library):
            raise LoadFailed(f"{path.name} does not load: {reason}")
        if reason := refuse_gpu(facts, find_gpu(), platform.machine()):
            raise LoadFailed(f"{path.name} does not load: {reason}")
        open_lane = find_memory()
        runtime = _make_runtime(library, facts)
        engine = _deserialise(library, runtime, read_plan(path), path.name)
        slots = open_slots(library, engine, manifest, options.in_flight, open_lane)
        return TensorRtSession(slots, manifest, keep=(runtime, engine))


def open_slots(
    library: Library, engine: Any, manifest: ModelManifest, count: int, open_lane: OpenLane
) -> list[Slot]:
    """All slots or none. Raises ``LoadFailed``, for example where the GPU has no room."""
    slots: list[Slot] = []
    try:
        while len(slots) < max(count, 1):
            slots.append(Slot.open(library, engine, open_lane, manifest))
    except (CudaFailed, LoadFailed) as error:
        for slot in slots:
            slot.close()
        raise LoadFailed(f"the GPU does not take the engine: {error}") from error
    return slots


def _check_manifest(path: Path, facts: EngineFacts, manifest: ModelManifest) -> None:
    check_tensors("input", manifest.inputs, {each.name: each.facts for each in facts.inputs})
    check_tensors("output", manifest.outputs, {each.name: each for each in facts.outputs})
    ranges = {each.name: (each.minimum, each.maximum) for each in facts.inputs}
    for spec in manifest.inputs:
        low, high = ranges.pop(spec.name)
        sides = zip(low, spec.fixed_shape, high, strict=True)
        if not all(least <= side <= most for least, side, most in sides):
            raise LoadFailed(
                f"{path.name} takes {spec.name!r} from {low} to {high}, "
                f"but the manifest says {spec.fixed_shape}"
            )
    if ranges:
        raise LoadFailed(f"{path.name} needs {sorted(ranges)} too, which the manifest leaves out")


def _make_runtime(library: Library, facts: EngineFacts) -> Any:
    runtime = library.api.Runtime(library.log)
    if facts.dla_core is not None:
        runtime.DLA_core = facts.dla_core
    return runtime


def _deserialise(library: Library, runtime: Any, plan: bytes, name: str) -> Any:
    library.log.errors.clear()
    engine = runtime.deserialize_cuda_engine(plan)
    if engine is None:
        raise LoadFailed(f"{library.title} does not load {name}: {library.explain()}")
    return engine


RUNTIME = TensorRt()
