"""Whether this machine may build for a profile: settled before a minute is spent."""

from __future__ import annotations

from inference_core.contract.build import ProfileSpec
from inference_core.contract.words import ComputeDevice
from inference_core.errors import RuntimeUnavailable
from inference_core.runtimes.base import Runtime


def require_builder_fits(profile: ProfileSpec, runtime: Runtime) -> None:
    """Raises ``RuntimeUnavailable`` where version or device are not those of the profile."""
    if profile.runtime_version is not None:  # TensorRT tells its own only where a GPU is
        _check_version(profile, runtime.version())
    if profile.compute_device is not ComputeDevice.CPU:
        from inference_core.runtimes.openvino import require_device

        require_device(profile.compute_device)


def _check_version(profile: ProfileSpec, version: str) -> None:
    """What another version writes may not load there, and its figures are not theirs."""
    asked = (profile.runtime_version or "").split(".")
    if version.split(".")[: len(asked)] != asked:
        raise RuntimeUnavailable(
            f"devices of {profile.name} have {profile.runtime} {profile.runtime_version}, and here "
            f"is {version}; build where that version is installed"
        )
