"""The engine key, and the key of the build that chooses among engines. One notion for both."""

from __future__ import annotations

import hashlib
from typing import Any

from inference_core.contract.base import Message, Sha256
from inference_core.contract.build import BuildJob, ProfileSpec, TensorRtProfile
from inference_core.contract.recipe import BuildRecipe, key_of
from inference_core.contract.words import Precision, RuntimeName
from inference_core.optimize.builders.base import Builder
from inference_core.optimize.certify import describe_machine, describe_toolchain
from inference_core.runtimes.base import Runtime
from inference_core.tensorrt.gpu import find_l4t
from inference_core.tensorrt.target import Target, choose_target

_PLACES = ("_path", "_dir")
"""How the names of a job's fields end that say where something lies, and not what it is."""


class Toolchain(Message):
    """What of a machine shapes an artifact. Empty is "does not apply", for example L4T on a PC."""

    runtime_version: str
    """The exact version."""
    tools: dict[str, str]
    compute_capabilities: tuple[str, ...] = ()
    device_name: str = ""
    l4t: str = ""
    cuda: str = ""


class EngineRecipe(Message):
    """All that one candidate depends on: equal keys are interchangeable artifacts."""

    source_sha256: Sha256
    manifest_sha256: Sha256
    precision: Precision
    calibration_sha256: str
    """Empty where nothing was calibrated: a new calibration set leaves an fp16 engine as it is."""
    runtime: RuntimeName
    architecture: str
    accelerator: str
    profile: TensorRtProfile | None
    """Flavour, shapes, DLA and the flags of TensorRT."""
    toolchain: Toolchain


def describe_build(job: BuildJob, builder: Builder, runtime: Runtime) -> BuildRecipe:
    """The recipe of a job on this machine; its key can be known before anything is built.

    Raises ``RuntimeUnavailable`` where this machine cannot build for the profile.
    """
    toolchain = read_toolchain(job.profile, builder, runtime)
    engines = {
        str(precision): key_of(describe_engine(job, precision, toolchain))
        for precision in job.profile.precisions
    }
    return BuildRecipe(
        asked=_describe_asked(job),
        engines=engines,
        tools={str(runtime.name): toolchain.runtime_version, **toolchain.tools},
        measured_on=toolchain.device_name or describe_machine()["cpu"],
    )


def describe_engine(job: BuildJob, precision: Precision, toolchain: Toolchain) -> EngineRecipe:
    """The recipe of one candidate."""
    profile = job.profile
    return EngineRecipe(
        source_sha256=job.source_sha256,
        manifest_sha256=hash_manifest(job),
        precision=precision,
        calibration_sha256=job.calibration_sha256 if precision is Precision.INT8 else "",
        runtime=profile.runtime,
        architecture=profile.architecture,
        accelerator=profile.accelerator or "",
        profile=profile.tensorrt,
        toolchain=toolchain,
    )


def read_toolchain(profile: ProfileSpec, builder: Builder, runtime: Runtime) -> Toolchain:
    """Exact versions, and the chip where the artifact is bound to it."""
    tools = {**describe_toolchain(builder.packages), **_read_further_tools(profile)}
    if profile.runtime is RuntimeName.TENSORRT:
        return describe_tensorrt(choose_target(profile.tensorrt), tools)
    return Toolchain(runtime_version=runtime.version(), tools=tools)


def describe_tensorrt(target: Target, tools: dict[str, str]) -> Toolchain:
    """The toolchain of an engine."""
    return Toolchain(
        runtime_version=target.library.version,
        tools=tools,
        compute_capabilities=target.compute_capabilities,
        device_name=target.device_name,
        l4t=find_l4t() if target.gpu else "",
        cuda=target.gpu.cuda if target.gpu else "",
    )


def hash_manifest(job: BuildJob) -> Sha256:
    """Digest of the manifest as it was given, its alphabet perhaps still in the model."""
    return hashlib.sha256(job.manifest.to_json()).hexdigest()


def _describe_asked(job: BuildJob) -> dict[str, Any]:
    """A field that a job gets later is in the key without anybody thinking of it."""
    document = job.model_dump(mode="json", exclude_none=True, exclude={"manifest"})
    asked = {name: value for name, value in document.items() if not name.endswith(_PLACES)}
    return {**asked, "manifest_sha256": hash_manifest(job)}


def _read_further_tools(profile: ProfileSpec) -> dict[str, str]:
    """Tools of a runtime that are no packages of this environment."""
    if profile.runtime is not RuntimeName.LITERT:
        return {}
    from inference_core.optimize.edgetpu import read_compiler_version
    from inference_core.optimize.tflite_convert import read_converter

    compiler = read_compiler_version() if profile.accelerator else {}
    return {**read_converter(), **compiler}
