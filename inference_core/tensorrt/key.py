"""The engine key: equal keys are interchangeable engines, so all that shapes one is in it."""

from __future__ import annotations

import hashlib

from inference_core.contract.base import Message, Sha256
from inference_core.contract.build import TensorRtProfile
from inference_core.contract.words import Precision


class EngineRecipe(Message):
    """All that an engine depends on. Empty is "does not apply", for example L4T on a PC."""

    source_sha256: Sha256
    manifest_sha256: Sha256
    precision: Precision
    calibration_sha256: str
    """Empty where nothing was calibrated: a new calibration set leaves an fp16 engine as it is."""
    tensorrt: str
    """The exact version."""
    compute_capabilities: tuple[str, ...]
    device_name: str
    l4t: str
    cuda: str
    architecture: str
    profile: TensorRtProfile
    """Flavour, shapes, DLA and the flags."""


def engine_key(recipe: EngineRecipe) -> Sha256:
    """SHA-256 over the recipe as JSON, its fields in the order of their definition."""
    return hashlib.sha256(recipe.to_json()).hexdigest()
