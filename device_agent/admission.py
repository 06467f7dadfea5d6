"""The judge of artifacts: what TUF vouches for must also be meant for this device. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from pydantic import ValidationError

from device_agent.errors import Rejected
from inference_core.contract.device import AgentRef
from inference_core.contract.release import (
    ANY_PROFILE,
    MAX_RELEASE_BYTES,
    ArtifactRef,
    ReleaseManifest,
    TargetCustom,
    TargetRef,
    agent_path,
    artifact_path,
    certificate_path,
    release_path,
)
from inference_core.contract.words import FailureCause, RuntimeName

if TYPE_CHECKING:  # with all that it imports, which a device that builds nothing does not pay
    from inference_core.contract.device_check import LeasedModel

Kind = Literal["release", "artifact", "certificate", "agent"]


@dataclass(frozen=True)
class SignedTarget:
    """What the signed metadata says of a target."""

    path: str
    length: int
    hashes: Mapping[str, str]
    custom: Any


@dataclass(frozen=True)
class Device:
    """What admission must know of the device; ``memory_bytes`` None is unknown."""

    profile: str
    counter_floor: int
    memory_bytes: int | None = None


def clock_problem(now: datetime, floor: datetime | None) -> str | None:
    """Why updates are frozen, or None. Behind the floor, expired metadata would look fresh."""
    if floor is None or now >= floor:
        return None
    return f"the clock says {now:%Y-%m-%d %H:%M}, but it has been {floor:%Y-%m-%d %H:%M} before"


def judge_target(
    kind: Kind, wanted: TargetRef, signed: SignedTarget | None, device: Device
) -> TargetCustom:
    """Signed custom fields of an acceptable target; ``Rejected`` says why it is not one.

    Only an agent fits every profile, and nothing else may claim to.
    """
    if signed is None:
        raise _untrusted(f"nobody with a trusted key has signed {wanted.path}")
    if any(part.startswith(".") for part in wanted.path.split("/")):
        raise _untrusted(f"{wanted.path} leaves its folder")
    if signed.hashes.get("sha256") != wanted.sha256 or signed.length != wanted.length:
        raise _untrusted(f"the signed {wanted.path} is not the file that the server asks for")
    custom = _custom_of(wanted.path, signed.custom)
    if custom.kind != kind:
        raise _untrusted(f"{wanted.path} is signed as {custom.kind}, not as {kind}")
    expected = ANY_PROFILE if kind == "agent" else device.profile
    _judge_profile(wanted.path, custom.profile, expected)
    if kind in ("release", "agent"):
        _judge_counter(wanted.path, custom.counter, device)
    _judge_memory(wanted.path, custom.peak_memory_bytes, device)
    return custom


def judge_agent(wanted: AgentRef, signed: SignedTarget | None, floor: int) -> TargetCustom:
    """Signed custom fields of an acceptable agent; ``Rejected`` says why it is not one.

    ``floor`` is the agent's own: its counters are not those of releases.
    """
    if wanted.target.path != agent_path(wanted.version):
        raise _untrusted(f"{wanted.target.path} is not where the agent {wanted.version} lies")
    return judge_target("agent", wanted.target, signed, Device(ANY_PROFILE, floor))


def judge_release_path(wanted: TargetRef, device: Device) -> None:
    """Refuse a release of another profile before anything is fetched."""
    if not wanted.path.startswith(f"{device.profile}/releases/"):
        raise Rejected(
            f"{wanted.path} is not for this device's profile {device.profile}",
            cause=FailureCause.WRONG_PROFILE,
        )
    if wanted.length > MAX_RELEASE_BYTES:
        raise _untrusted(f"{wanted.path} has {wanted.length} bytes, which no manifest has")


def judge_release(
    content: bytes, wanted: TargetRef, custom: TargetCustom, device: Device
) -> ReleaseManifest:
    """Parse a verified release manifest and hold it to what was signed around it."""
    try:
        manifest = ReleaseManifest.model_validate_json(content)
    except ValidationError as error:
        raise _untrusted(
            f"{wanted.path} is no release manifest: {error.error_count()} errors"
        ) from error
    _judge_profile(wanted.path, manifest.profile, device.profile)
    _judge_counter(wanted.path, manifest.counter, device)
    if manifest.counter != custom.counter:
        raise _untrusted(f"{wanted.path} counts {manifest.counter}, signed was {custom.counter}")
    if wanted.path != release_path(manifest.profile, manifest.release):
        raise _untrusted(f"{wanted.path} holds the release {manifest.release!r}")
    for model, artifact in manifest.artifacts.items():
        _judge_paths(model, artifact, device)
    return manifest


def judge_artifact(artifact: ArtifactRef, custom: TargetCustom) -> None:
    """Refuse an artifact whose signed fields contradict the manifest that pins it."""
    path = artifact.target.path
    pairs = (
        ("source", custom.source_sha256, artifact.source_sha256),
        ("certificate", custom.certificate_sha256, artifact.certificate.sha256),
        ("runtime", custom.runtime, artifact.runtime),
    )
    for name, signed, pinned in pairs:
        if signed is not None and signed != pinned:
            raise _untrusted(f"{path} was signed with {name} {signed}, the release pins {pinned}")


def judge_leased(
    model: LeasedModel, runtime: RuntimeName, signed: SignedTarget | None, device: Device
) -> None:
    """Refuse an artifact that is to be judged here, where its own signed target is another one.

    The release is not signed yet; no byte is loaded all the same that nobody has signed.
    """
    path = artifact_path(device.profile, model.artifact_sha256)
    wanted = TargetRef(path=path, sha256=model.artifact_sha256, length=model.artifact_length)
    custom = judge_target("artifact", wanted, signed, device)
    pairs = (
        ("source", custom.source_sha256, model.source_sha256),
        ("runtime", custom.runtime, runtime),
    )
    for name, vouched, leased in pairs:
        if vouched is not None and vouched != leased:
            raise _untrusted(f"{path} was signed with {name} {vouched}, the check names {leased}")


def judge_certificate(content: bytes, artifact: ArtifactRef, device: Device) -> None:
    """Refuse a parity certificate of other bytes, or of another profile."""
    # 1.5 MB with all that it imports, which an agent that brings no release does not pay.
    from inference_core.contract.build import ParityCertificate

    path = artifact.certificate.path
    try:
        certificate = ParityCertificate.model_validate_json(content)
    except ValidationError as error:
        raise _untrusted(f"{path} is no parity certificate") from error
    if certificate.artifact_sha256 != artifact.target.sha256:
        raise _untrusted(f"{path} certifies other bytes than {artifact.target.path}")
    _judge_profile(path, certificate.profile, device.profile)


def _judge_paths(model: str, artifact: ArtifactRef, device: Device) -> None:
    digest = artifact.target.sha256
    expected = artifact_path(device.profile, digest), certificate_path(device.profile, digest)
    if (artifact.target.path, artifact.certificate.path) != expected:
        raise _untrusted(f"the files of model {model!r} do not lie where this profile's do")


def _judge_profile(path: str, profile: str, expected: str) -> None:
    if profile != expected:
        raise Rejected(
            f"{path} is built for {profile}, wanted is {expected}",
            cause=FailureCause.WRONG_PROFILE,
        )


def _judge_counter(path: str, counter: int, device: Device) -> None:
    if counter < device.counter_floor:
        raise Rejected(
            f"{path} has counter {counter}, and this device takes none below "
            f"{device.counter_floor}: release it again under a new counter",
            cause=FailureCause.OLD_COUNTER,
        )


def _judge_memory(path: str, peak_bytes: int, device: Device) -> None:
    if device.memory_bytes is not None and peak_bytes > device.memory_bytes:
        raise Rejected(
            f"{path} needs {peak_bytes} bytes of memory, this device has {device.memory_bytes}",
            cause=FailureCause.OUT_OF_MEMORY,
        )


def _custom_of(path: str, custom: Any) -> TargetCustom:
    try:
        return TargetCustom.model_validate(custom)
    except ValidationError as error:
        raise _untrusted(f"the signed fields of {path} are missing or malformed") from error


def _untrusted(detail: str) -> Rejected:
    return Rejected(detail, cause=FailureCause.UNTRUSTED)
