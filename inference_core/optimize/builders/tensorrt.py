"""Artifacts for TensorRT: an engine with its facts, built for the GPUs of the profile."""

from __future__ import annotations

import hashlib
from pathlib import Path

import onnx

from inference_core.contract.build import BatchRange
from inference_core.contract.recipe import key_of
from inference_core.contract.words import Precision, RuntimeName
from inference_core.optimize.builders.base import Source
from inference_core.optimize.builders.onnxruntime import OnnxBuilder
from inference_core.optimize.certify import describe_toolchain
from inference_core.optimize.fold import fold
from inference_core.optimize.problem import ConversionFailed
from inference_core.optimize.quantize import quantize_onnx
from inference_core.optimize.recipe import EngineRecipe, describe_tensorrt
from inference_core.tensorrt.build import Built, build_engine
from inference_core.tensorrt.engine_file import EngineFacts, write_engine
from inference_core.tensorrt.target import Target, choose_target
from inference_core.tensorrt.timing import TimingCache, cache_path


class TensorRtBuilder:
    """Strongly typed engines: fp16 and INT8 are made in the ONNX, and TensorRT obeys."""

    packages: tuple[str, ...] = ("onnx", "onnxruntime")
    suffix = ".engine"

    def build(self, source: Source, precision: Precision, artifact: Path) -> None:
        """Write the engine file."""
        target = choose_target(source.tensorrt)
        graph = _prepare(source, precision, target.profile.batch, artifact)
        timings = None
        if target.gpu and not target.library.builds_for_absent_gpus:  # the others time nothing
            timings = TimingCache(cache_path(target.library.version, target.gpu.name))
        built = build_engine(
            target, graph, lambda line: source.tell(f"{precision}: {line}"), timings
        )
        write_engine(artifact, built.plan, _describe(source, precision, target, built))


def _prepare(
    source: Source, precision: Precision, batch: BatchRange | None, artifact: Path
) -> Path:
    """The ONNX in the arithmetic of ``precision``, its batch open where there is a range."""
    floating = source.folded if batch is None else _open_batch(source, batch, artifact)
    graph = artifact.with_name(f"{artifact.stem}-{precision}.onnx")
    if precision is Precision.FP32:
        return floating
    if precision is Precision.INT8:
        quantize_onnx(floating, source.calibration, graph, signed=True, symmetric=True)
        return graph
    halved = Source(floating, source.manifest, source.calibration, source.architecture)
    OnnxBuilder().build(halved, Precision.FP16, graph)
    return graph


def _open_batch(source: Source, batch: BatchRange, artifact: Path) -> Path:
    own = source.manifest.inputs[0].fixed_shape[0]
    if not batch.minimum <= own <= batch.maximum:
        raise ConversionFailed(f"the profile's batch range leaves out the manifest's {own}")
    if source.model is None or not _has_open_batch(source.model, source.manifest.inputs[0].name):
        raise ConversionFailed(
            "the profile asks for a range of batches, and the graph has a fixed one; "
            "export the model with an open batch"
        )
    graph = artifact.with_name(f"{artifact.stem}-open.onnx")
    fold(source.model, source.manifest, graph, keeps_batch_open=True)
    return graph


def _has_open_batch(model: Path, name: str) -> bool:
    graph = onnx.load(str(model), load_external_data=False).graph
    sides = next(v.type.tensor_type.shape.dim for v in graph.input if v.name == name)
    return bool(sides) and not sides[0].HasField("dim_value")


def _describe(source: Source, precision: Precision, target: Target, built: Built) -> EngineFacts:
    return EngineFacts(
        key=key_of(make_recipe(source, precision, target)),
        flavour=target.library.flavour,
        version=target.library.version,
        architecture=source.architecture,
        compute_capabilities=target.compute_capabilities,
        hardware_compatibility=target.profile.hardware_compatibility,
        device_name=target.device_name,
        dla_core=target.profile.dla_core,
        precision=precision,
        inputs=built.inputs,
        outputs=built.outputs,
    )


def make_recipe(source: Source, precision: Precision, target: Target) -> EngineRecipe:
    """What the engine depends on; its key can be known before it is built."""
    tools = describe_toolchain(TensorRtBuilder.packages)
    model = source.model or source.folded
    return EngineRecipe(
        source_sha256=source.source_sha256 or _hash(model.read_bytes()),
        manifest_sha256=source.manifest_sha256 or _hash(source.manifest.to_json()),
        precision=precision,
        calibration_sha256=source.calibration_sha256 if precision is Precision.INT8 else "",
        runtime=RuntimeName.TENSORRT,
        architecture=source.architecture,
        accelerator=source.accelerator or "",
        profile=source.tensorrt,
        toolchain=describe_tensorrt(target, tools),
    )


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


BUILDER = TensorRtBuilder()
