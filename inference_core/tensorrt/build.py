"""From a folded ONNX to a serialised engine: strongly typed, so precision lies in the graph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from inference_core.contract.build import BatchRange, TensorFacts
from inference_core.optimize.problem import ConversionFailed
from inference_core.tensorrt.engine_file import EngineInput
from inference_core.tensorrt.graph import check_quantisation, parse_graph
from inference_core.tensorrt.library import Library
from inference_core.tensorrt.progress import make_monitor
from inference_core.tensorrt.target import Target
from inference_core.tensorrt.timing import TimingCache


@dataclass(frozen=True)
class Built:
    """A serialised engine and its tensors."""

    plan: bytes
    inputs: tuple[EngineInput, ...]
    outputs: tuple[TensorFacts, ...]


def build_engine(
    target: Target, graph: Path, tell: Callable[[str], None], timings: TimingCache | None = None
) -> Built:
    """The engine of ``graph``. Takes up to minutes; ``tell`` hears of it once a second.

    Every input side must be fixed, but for the first where the profile has a batch range.
    Raises ``ConversionFailed`` with what the library says.
    """
    check_quantisation(graph)
    library = target.library
    library.log.errors.clear()
    builder = library.api.Builder(library.log)
    typed = 1 << int(library.api.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    network = builder.create_network(typed)
    parse_graph(library, network, graph)
    inputs = _read_inputs(library, network, target.profile.batch)
    config = builder.create_builder_config()
    _configure(target, builder, config)
    _add_shapes(builder, config, inputs)
    config.progress_monitor = make_monitor(library.api, tell)
    plan = _serialise(builder, network, config, timings)
    if plan is None:
        raise ConversionFailed(f"{library.title} cannot build the engine: {library.explain()}")
    return Built(plan, inputs, _read_outputs(library, network))


def _serialise(
    builder: Any, network: Any, config: Any, timings: TimingCache | None
) -> bytes | None:
    if timings is not None:
        timings.attach(config)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        return None
    if timings is not None:
        timings.keep(config)
    return bytes(plan)


def _configure(target: Target, builder: Any, config: Any) -> None:
    api, profile = target.library.api, target.profile
    if profile.workspace_bytes is not None:
        config.set_memory_pool_limit(api.MemoryPoolType.WORKSPACE, profile.workspace_bytes)
    if profile.optimisation_level is not None:
        config.builder_optimization_level = profile.optimisation_level
    if profile.hardware_compatibility != "none":
        level = profile.hardware_compatibility.upper()
        config.hardware_compatibility_level = getattr(api.HardwareCompatibilityLevel, level)
    if profile.dla_core is not None:
        _set_dla(target.library, builder, config, profile.dla_core)
    if target.library.builds_for_absent_gpus:
        config.num_compute_capabilities = len(target.compute_capabilities)
        for index, number in enumerate(target.compute_capabilities):
            config.set_compute_capability(_find_generation(target.library, number), index)


def _set_dla(library: Library, builder: Any, config: Any, core: int) -> None:
    if core >= builder.num_DLA_cores:
        raise ConversionFailed(
            f"the profile asks for DLA core {core}, and {library.title} finds "
            f"{builder.num_DLA_cores} here"
        )
    config.default_device_type = library.api.DeviceType.DLA
    config.DLA_core = core
    config.set_flag(library.api.BuilderFlag.GPU_FALLBACK)  # no DLA has every operator


def _find_generation(library: Library, compute_capability: str) -> Any:
    known = library.api.ComputeCapability.__members__
    name = f"SM{compute_capability.replace('.', '')}"
    if name not in known:
        numbers = ", ".join(f"{n[2:-1]}.{n[-1]}" for n in sorted(known) if n.startswith("SM"))
        raise ConversionFailed(
            f"{library.title} builds for no compute capability {compute_capability}; "
            f"it knows {numbers}"
        )
    return known[name]


def _read_inputs(
    library: Library, network: Any, batch: BatchRange | None
) -> tuple[EngineInput, ...]:
    tensors = [network.get_input(index) for index in range(network.num_inputs)]
    return tuple(_read_input(library, tensor, batch) for tensor in tensors)


def _read_input(library: Library, tensor: Any, batch: BatchRange | None) -> EngineInput:
    shape = tuple(tensor.shape)
    shapes = [shape] * 3
    if batch is not None and shape[:1] == (-1,):
        sizes = (batch.minimum, batch.optimal, batch.maximum)
        shapes = [(size, *shape[1:]) for size in sizes]
    if -1 in shapes[0]:
        raise ConversionFailed(f"input {tensor.name!r} has sides that nothing fixes: {shape}")
    low, best, high = shapes
    return EngineInput(
        name=tensor.name,
        dtype=find_dtype(library.api, tensor.dtype),
        minimum=low,
        optimal=best,
        maximum=high,
        is_fixed=-1 not in shape,
    )


def _add_shapes(builder: Any, config: Any, inputs: tuple[EngineInput, ...]) -> None:
    if all(tensor.is_fixed for tensor in inputs):
        return
    shapes = builder.create_optimization_profile()
    for tensor in inputs:
        shapes.set_shape(tensor.name, tensor.minimum, tensor.optimal, tensor.maximum)
    config.add_optimization_profile(shapes)


def _read_outputs(library: Library, network: Any) -> tuple[TensorFacts, ...]:
    tensors = [network.get_output(index) for index in range(network.num_outputs)]
    return tuple(
        TensorFacts(
            name=tensor.name,
            shape=tuple(None if side < 0 else side for side in tensor.shape),
            dtype=find_dtype(library.api, tensor.dtype),
        )
        for tensor in tensors
    )


def find_dtype(api: Any, kind: Any) -> str:
    """TensorRT's type as numpy calls it. Raises ``ConversionFailed`` for what numpy lacks."""
    try:
        return str(np.dtype(api.nptype(kind)))
    except TypeError as error:
        raise ConversionFailed(f"a tensor of {kind} cannot be fed or read: {error}") from error
