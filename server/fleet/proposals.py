"""A profile made of a device's facts, for an admin to accept. Nothing here writes."""

from __future__ import annotations

import re

from pydantic import Field

from inference_core.contract.build import ProfileSpec, TensorRtProfile
from inference_core.contract.device import DeviceFacts
from inference_core.contract.words import Precision, RuntimeName
from server.fleet.requirements import Requirements, architecture_of, tensorrt_of

ARCHITECTURES = ("x86_64", "aarch64")
OLDEST_TENSORRT = 10
_CHOICES = (
    RuntimeName.OPENVINO,
    RuntimeName.ONNXRUNTIME,
    RuntimeName.LITERT,
    RuntimeName.OPENCV_DNN,
)
"""In the order in which they are proposed."""


class NewProfile(ProfileSpec):
    """``POST hardware-profiles``: a profile as people write it, and what a device must be."""

    title: str = Field(default="", max_length=200, description="Empty is the name.")
    requires: Requirements = Requirements()

    @property
    def spec(self) -> ProfileSpec:
        """The contract's part."""
        return ProfileSpec.model_validate(self.model_dump(exclude={"title", "requires"}))


def propose(facts: DeviceFacts) -> NewProfile | None:
    """A profile that this device would fit, or None where nothing here could run on it."""
    architecture = architecture_of(facts)
    if architecture not in ARCHITECTURES:
        return None
    engine = _engine(facts)
    runtime = RuntimeName.TENSORRT if engine else _runtime(facts)
    if runtime is None:
        return None
    return NewProfile(
        name=_name(facts, runtime, engine),
        title=f"{facts.board or facts.soc or architecture}, {runtime}"[:200],
        runtime=runtime,
        architecture=architecture,
        precisions=(Precision.FP32, *((Precision.FP16,) if engine else ()), Precision.INT8),
        tensorrt=engine,
        requires=_requirements(facts, engine),
    )


def _engine(facts: DeviceFacts) -> TensorRtProfile | None:
    """Bound to the very version and generation; None where an engine could not be built."""
    version = re.match(r"[0-9]+(\.[0-9]+){0,2}", tensorrt_of(facts))
    if version is None or not re.fullmatch(r"[0-9]{1,2}\.[0-9]", facts.compute_capability):
        return None
    if int(version[0].split(".")[0]) < OLDEST_TENSORRT:
        return None
    capabilities = (facts.compute_capability,)
    return TensorRtProfile(version=version[0], compute_capabilities=capabilities)


def _runtime(facts: DeviceFacts) -> RuntimeName | None:
    return next((name for name in _CHOICES if facts.runtimes.get(name)), None)


def _requirements(facts: DeviceFacts, engine: TensorRtProfile | None) -> Requirements:
    l4t = re.match(r"[0-9]+(\.[0-9]+)?", facts.software.get("l4t", ""))
    return Requirements(
        platform=facts.platform,
        soc=facts.soc[:100],
        board=facts.board if engine and facts.platform == "jetson" else "",
        l4t=(l4t[0],) if l4t else (),
    )


def _name(facts: DeviceFacts, runtime: RuntimeName, engine: TensorRtProfile | None) -> str:
    chip = facts.soc or (f"sm{facts.compute_capability}" if engine else "")
    software = f"trt{engine.version}" if engine else str(runtime)
    words = [architecture_of(facts) if not chip else "", chip, software]
    if l4t := facts.software.get("l4t"):
        words.insert(2, f"l4t{l4t}")
    text = "-".join(word for word in words if word).lower()
    slug = re.sub(r"[^a-z0-9]+", lambda found: "." if found[0] == "." else "-", text)
    return slug.strip("-.")[:100].rstrip("-.")
