"""Whether this machine is a twin of a profile's hardware: what is certified here holds there."""

from __future__ import annotations

import platform

from inference_core.contract.build import ProfileSpec
from inference_core.contract.recipe import ProfileFit
from inference_core.contract.words import RuntimeName
from inference_core.errors import CoreError, RuntimeUnavailable
from inference_core.optimize.convert import get_builder
from inference_core.optimize.fitting import require_builder_fits
from inference_core.runtimes.lookup import get_runtime

_SPELLINGS = {"amd64": "x86_64", "arm64": "aarch64"}


def fit(profile: ProfileSpec) -> ProfileFit:
    """The answer for one profile; the problem is a sentence that says what is missing."""
    try:
        _check(profile)
    except CoreError as error:
        return ProfileFit(profile=profile.name, problem=str(error))
    return ProfileFit(profile=profile.name)


def _check(profile: ProfileSpec) -> None:
    machine = platform.machine().lower()
    machine = _SPELLINGS.get(machine, machine)
    if machine != profile.architecture:
        raise RuntimeUnavailable(
            f"the profile is for {profile.architecture}, and this machine is {machine}"
        )
    get_builder(profile.runtime)
    if profile.runtime is RuntimeName.TENSORRT:
        _check_tensorrt(profile)
    runtime = get_runtime(profile.runtime)
    runtime.version()  # raises where it cannot be loaded
    require_builder_fits(profile, runtime)
    if profile.runtime is RuntimeName.LITERT:
        _check_litert(profile)


def _check_tensorrt(profile: ProfileSpec) -> None:
    """Library, version and GPU: an engine loads in the version, and on the GPU, that built it."""
    from inference_core.tensorrt.target import choose_target

    choose_target(profile.tensorrt)


def _check_litert(profile: ProfileSpec) -> None:
    from inference_core.optimize.edgetpu import find_compiler
    from inference_core.optimize.tflite_convert import HOW_TO, read_converter

    if not read_converter():
        raise RuntimeUnavailable(f"the converter to TFLite is not installed; {HOW_TO}")
    if profile.accelerator:
        find_compiler()
