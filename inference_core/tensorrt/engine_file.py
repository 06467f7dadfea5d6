"""An engine as one file: the plan, and the facts that say where it may be loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from inference_core.archive import pack, unpack
from inference_core.contract.base import Message, Sha256
from inference_core.contract.build import TensorFacts
from inference_core.contract.release import MAX_ARTIFACT_BYTES
from inference_core.contract.words import Precision
from inference_core.errors import LoadFailed
from inference_core.tensorrt.gpu import Gpu
from inference_core.tensorrt.library import TITLES, Library

PLAN_NAME = "engine.plan"
FACTS_NAME = "facts.json"
_MAX_FACTS_BYTES = 1024 * 1024

Shape = tuple[int, ...]


class EngineInput(Message):
    """An input and the shapes that its profile takes."""

    name: str
    dtype: str
    minimum: Shape
    optimal: Shape
    maximum: Shape
    is_fixed: bool = Field(description="The graph itself has no other shape.")

    @property
    def facts(self) -> TensorFacts:
        """As a graph declares it: None is a side that the profile leaves open."""
        sides = zip(self.minimum, self.maximum, strict=True)
        shape = tuple(low if low == high else None for low, high in sides)
        return TensorFacts(name=self.name, shape=shape, dtype=self.dtype)


class EngineFacts(Message):
    """What is known of an engine without loading it."""

    schema_version: Literal[1] = 1
    key: Sha256
    flavour: Literal["tensorrt", "rtx"]
    version: str
    architecture: str
    compute_capabilities: tuple[str, ...] = Field(min_length=1)
    hardware_compatibility: Literal["none", "same_compute_capability", "ampere_plus"] = "none"
    device_name: str = Field(default="", description="Empty: any of the compute capabilities.")
    dla_core: int | None = None
    precision: Precision
    inputs: tuple[EngineInput, ...]
    outputs: tuple[TensorFacts, ...]


def write_engine(path: Path, plan: bytes, facts: EngineFacts) -> None:
    """Write a ZIP, stored: the facts first, so that they can be read without the plan."""
    pack(path, {FACTS_NAME: facts.to_json(), PLAN_NAME: plan})


def read_facts(path: Path) -> EngineFacts:
    """The facts alone. Raises ``LoadFailed``."""
    try:
        return EngineFacts.model_validate_json(unpack(path, FACTS_NAME, _MAX_FACTS_BYTES))
    except ValidationError as error:
        raise LoadFailed(f"{path.name} is no engine of ours: {FACTS_NAME} is malformed") from error


def read_plan(path: Path) -> bytes:
    """The serialised engine, its checksum verified. Raises ``LoadFailed``."""
    return unpack(path, PLAN_NAME, MAX_ARTIFACT_BYTES)


def refuse_library(facts: EngineFacts, library: Library) -> str | None:
    """Why this library must not see the plan: a foreign one can end the process."""
    if (facts.flavour, facts.version) == (library.flavour, library.version):
        return None
    built_with = f"{TITLES[facts.flavour]} {facts.version}"
    return f"it was built with {built_with}, and here is {library.title}: build it for this one"


def refuse_gpu(facts: EngineFacts, gpu: Gpu, architecture: str) -> str | None:
    """Why this machine must not load the plan."""
    if facts.architecture != architecture:
        return f"it was built for {facts.architecture}, and this machine is {architecture}"
    if not _covers(facts, gpu.compute_capability):
        targets = " or ".join(facts.compute_capabilities)
        found = f"{gpu.name} has {gpu.compute_capability}"
        return f"it was built for compute capability {targets}, and {found}"
    if facts.hardware_compatibility == "none" and facts.device_name not in {"", gpu.name}:
        return f"it was built on {facts.device_name!r} for its kind alone, and here is {gpu.name!r}"
    return None


def _covers(facts: EngineFacts, compute_capability: str) -> bool:
    if facts.hardware_compatibility == "ampere_plus":
        return int(compute_capability.split(".", maxsplit=1)[0]) >= 8
    return compute_capability in facts.compute_capabilities
