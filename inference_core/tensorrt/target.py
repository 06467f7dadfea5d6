"""What an engine is built for, and with which library: settled before a minute is spent."""

from __future__ import annotations

from dataclasses import dataclass

from inference_core.contract.build import TensorRtProfile
from inference_core.errors import RuntimeUnavailable
from inference_core.optimize.problem import ConversionFailed
from inference_core.tensorrt.gpu import Gpu, find_gpu
from inference_core.tensorrt.library import Library, find_library


@dataclass(frozen=True)
class Target:
    """A library, and the GPUs that it builds for."""

    library: Library
    profile: TensorRtProfile
    compute_capabilities: tuple[str, ...]
    gpu: Gpu | None
    """The GPU of this machine; None where the engine is for GPUs elsewhere."""

    @property
    def device_name(self) -> str:
        """The only kind of GPU that the engine suits; empty where its generation is enough."""
        is_bound = self.gpu and not self.library.builds_for_absent_gpus
        return self.gpu.name if self.gpu and is_bound else ""


def choose_target(profile: TensorRtProfile | None) -> Target:
    """Settle a profile; None stands for the library that is installed and the GPU that is here.

    Raises ``RuntimeUnavailable`` where library or GPU are not the profile's, ``ConversionFailed``
    for what the library can never do.
    """
    profile = profile or TensorRtProfile(flavour=find_library().flavour)
    library = find_library(profile.flavour)
    _check_version(library, profile)
    if library.builds_for_absent_gpus:
        if profile.hardware_compatibility != "none":  # it would be taken, and ignored
            raise ConversionFailed(
                f"{library.title} knows no hardware compatibility; "
                "name several compute capabilities instead"
            )
        if profile.compute_capabilities:
            numbers = sorted(set(profile.compute_capabilities), key=_as_number)
            return Target(library, profile, tuple(numbers), gpu=None)
    return _choose_here(library, profile, find_gpu())


def _choose_here(library: Library, profile: TensorRtProfile, gpu: Gpu) -> Target:
    asked = profile.compute_capabilities
    if asked and gpu.compute_capability not in asked:
        raise RuntimeUnavailable(
            f"{library.title} builds for the GPU it runs on: {gpu.name} has compute capability "
            f"{gpu.compute_capability}, and the profile asks for {' or '.join(asked)}"
        )
    return Target(library, profile, (gpu.compute_capability,), gpu)


def _check_version(library: Library, profile: TensorRtProfile) -> None:
    """An engine loads in the very version that built it, so another one builds in vain."""
    asked = profile.version.split(".") if profile.version else []
    if library.version.split(".")[: len(asked)] != asked:
        raise RuntimeUnavailable(
            f"the profile's devices have version {profile.version}, and here is {library.title}; "
            "build where that version is installed"
        )


def _as_number(compute_capability: str) -> tuple[int, ...]:
    return tuple(int(part) for part in compute_capability.split("."))
