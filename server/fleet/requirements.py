"""What a profile asks of a device, held against what the device says of itself. No database."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from inference_core.contract.base import Document, Slug
from inference_core.contract.build import ProfileSpec, VersionBeginning
from inference_core.contract.device import DeviceFacts
from inference_core.contract.words import RuntimeName

_SAME_ARCHITECTURE = {"amd64": "x86_64", "x64": "x86_64", "arm64": "aarch64"}
_TITLES = {"tensorrt": "TensorRT", "tensorrt_rtx": "TensorRT for RTX"}


class Requirements(Document):
    """What a device must be beyond architecture, runtime and engine, which the profile has."""

    platform: Literal["jetson", "raspberry_pi", "coral", "generic"] | None = None
    soc: str = Field(default="", max_length=100, description="As in facts: tegra234, bcm2712.")
    board: str = Field(default="", max_length=200, description='A part of its name: "Orin NX".')
    l4t: tuple[VersionBeginning, ...] = Field(default=(), max_length=8)
    cuda: VersionBeginning | None = None
    accelerators: tuple[Slug, ...] = Field(
        default=(), max_length=8, description="One of them must be there: edgetpu-usb."
    )
    runtime_at_least: VersionBeginning | None = None


@dataclass(frozen=True)
class Finding:
    """One requirement held against the facts. ``has`` is empty where they do not say."""

    what: str
    needs: str
    has: str
    is_met: bool

    @property
    def is_denied(self) -> bool:
        """Whether the facts say otherwise, and do not only keep silent."""
        return bool(self.has) and not self.is_met

    def __str__(self) -> str:
        if self.is_met:
            return f"{self.what} {self.has}"
        has = f"has {self.has}" if self.has else "does not say that it has it"
        return f"needs {self.what} {self.needs}, the device {has}"


def architecture_of(facts: DeviceFacts) -> str:
    """The architecture in the spelling of profiles."""
    word = facts.architecture.lower()
    return _SAME_ARCHITECTURE.get(word, word)


def tensorrt_of(facts: DeviceFacts, flavour: str = "tensorrt") -> str:
    """Version of a flavour of TensorRT, as exact as the device knows it; empty for none."""
    if flavour == "rtx":
        return facts.runtimes.get("tensorrt_rtx", "")
    return facts.software.get("tensorrt") or facts.runtimes.get("tensorrt", "")


def judge(spec: ProfileSpec, requires: Requirements, facts: DeviceFacts) -> list[Finding]:
    """Every requirement with what the device has; the profile fits where all are met."""
    return [
        _is("architecture", spec.architecture, architecture_of(facts)),
        *_runtime(spec, requires, facts),
        *_board(requires, facts),
        *_engine(spec, facts),
        *_accelerators(spec, requires, facts),
    ]


def _runtime(spec: ProfileSpec, requires: Requirements, facts: DeviceFacts) -> Iterator[Finding]:
    if spec.tensorrt is not None and spec.runtime is RuntimeName.TENSORRT:
        return  # the engine's own version says more
    name, has = str(spec.runtime), facts.runtimes.get(spec.runtime, "")
    if spec.runtime_version:
        yield _begins(name, (spec.runtime_version,), has)
    elif requires.runtime_at_least:
        needs = f"{requires.runtime_at_least} or later"
        is_met = bool(has) and _parts(has) >= _parts(requires.runtime_at_least)
        yield Finding(name, needs, has, is_met)
    else:
        yield Finding(name, "installed", has, bool(has))


def _board(requires: Requirements, facts: DeviceFacts) -> Iterator[Finding]:
    if requires.platform:
        yield _is("platform", requires.platform, facts.platform)
    if requires.soc:
        yield _is("SoC", requires.soc, facts.soc)
    if requires.board:
        is_met = requires.board.lower() in facts.board.lower()
        yield Finding("board", requires.board, facts.board, is_met)
    if requires.l4t:
        yield _begins("L4T", requires.l4t, facts.software.get("l4t", ""))
    if requires.cuda:
        yield _begins("CUDA", (requires.cuda,), facts.software.get("cuda", ""))


def _engine(spec: ProfileSpec, facts: DeviceFacts) -> Iterator[Finding]:
    engine = spec.tensorrt
    if engine is None:
        return
    title = _TITLES["tensorrt_rtx" if engine.flavour == "rtx" else "tensorrt"]
    has = tensorrt_of(facts, engine.flavour)
    if engine.version:
        yield _begins(title, (engine.version,), has)
    else:
        yield Finding(title, "installed", has, bool(has))
    if engine.compute_capabilities:
        needs = " or ".join(engine.compute_capabilities)
        is_met = facts.compute_capability in engine.compute_capabilities
        yield Finding("compute capability", needs, facts.compute_capability, is_met)


def _accelerators(
    spec: ProfileSpec, requires: Requirements, facts: DeviceFacts
) -> Iterator[Finding]:
    has = ", ".join(dict.fromkeys(facts.accelerators))
    if requires.accelerators:
        is_met = bool(set(requires.accelerators) & set(facts.accelerators))
        yield Finding("accelerator", " or ".join(requires.accelerators), has, is_met)
    elif spec.accelerator:
        is_met = any(name.startswith(spec.accelerator) for name in facts.accelerators)
        yield Finding("accelerator", spec.accelerator, has, is_met)


def _is(what: str, needs: str, has: str) -> Finding:
    return Finding(what, needs, has, needs == has)


def _begins(what: str, needs: tuple[str, ...], has: str) -> Finding:
    """A version as exact as the requirement is: 10.3.0.30 is a 10.3, and 10.30 is none."""
    is_met = bool(has) and any(_parts(has)[: len(_parts(n))] == _parts(n) for n in needs)
    return Finding(what, " or ".join(needs), has, is_met)


def _parts(version: str) -> list[int]:
    """The numbers that a version begins with: 10.3.0-1 is [10, 3, 0]."""
    numbers = []
    for part in version.replace("-", ".").replace("+", ".").split("."):
        if not part.isascii() or not part.isdigit():
            break
        numbers.append(int(part[:9]))
    return numbers
