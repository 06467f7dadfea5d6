"""The hardware profiles that this version builds for, and which of them suits a device.

A profile is listed only where its builds are certified on hardware of its own kind.
"""

from __future__ import annotations

from dataclasses import dataclass

from inference_core.contract.build import ProfileSpec
from inference_core.contract.device import DeviceFacts
from inference_core.contract.words import Precision, RuntimeName
from server.fleet.models import HardwareProfile

_BOTH = (Precision.FP32, Precision.INT8)


@dataclass(frozen=True)
class Seed:
    """A row of the table: the profile, and its name for people."""

    spec: ProfileSpec
    title: str


def _x86(name: str, runtime: RuntimeName, title: str) -> Seed:
    spec = ProfileSpec(
        name=name, runtime=runtime, architecture="x86_64", precisions=_BOTH, threads=2
    )
    return Seed(spec, title)


# In the order in which they are suggested to a device that could use several.
SEEDS = (
    _x86("x86-openvino", RuntimeName.OPENVINO, "x86-64, OpenVINO, two threads"),
    _x86("x86-onnxruntime", RuntimeName.ONNXRUNTIME, "x86-64, ONNX Runtime, two threads"),
    _x86("x86-opencv-dnn", RuntimeName.OPENCV_DNN, "x86-64, OpenCV DNN, two threads"),
)

_SAME_ARCHITECTURE = {"amd64": "x86_64", "x64": "x86_64", "arm64": "aarch64"}


@dataclass(frozen=True)
class Suggestion:
    """A profile that a device could use, and why."""

    profile: HardwareProfile
    why: str


def architecture_of(facts: DeviceFacts) -> str:
    """The architecture in the spelling of profiles."""
    word = facts.architecture.lower()
    return _SAME_ARCHITECTURE.get(word, word)


def match_profile(facts: DeviceFacts) -> list[Suggestion]:
    """Profiles whose architecture and runtime the device has, the best first.

    What is built for one chip is never suggested: facts do not name the chip, so people must.
    """
    architecture = architecture_of(facts)
    rank = {seed.spec.name: index for index, seed in enumerate(SEEDS)}
    fitting = HardwareProfile.objects.filter(
        architecture=architecture,
        runtime__in=[str(name) for name in facts.runtimes],
        accelerator="",
        tensorrt__isnull=True,
    )
    return [
        Suggestion(
            profile,
            f"the device is {architecture} and has {profile.runtime} "
            f"{facts.runtimes[profile.runtime]}",
        )
        for profile in sorted(fitting, key=lambda p: (rank.get(p.name, len(rank)), p.name))
    ]
