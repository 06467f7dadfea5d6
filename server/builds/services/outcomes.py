"""What came of an attempt: an artifact with its certificate, a refusal, or another try."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.db import transaction

from inference_core.contract.build import BuildOutcome, ParityCertificate
from inference_core.contract.manifest import ModelManifest
from inference_core.contract.parity import find_broken_limit
from inference_core.contract.release import MAX_ARTIFACT_BYTES
from server.builds.errors import OutcomeError
from server.builds.models import Artifact, Build, Certificate
from server.builds.services.leases import LEASES, return_build
from server.builds.services.queueing import wake_waiting
from server.builds.states import BUILD, BuildState
from server.lib import blobs, clock
from server.lib.states import move

MAX_REASON = 4000
_STATES = {
    "succeeded": BuildState.SUCCEEDED,
    "refused": BuildState.REFUSED,
    "failed": BuildState.FAILED,
}


def record_outcome(*, build: Build, owner: str, outcome: BuildOutcome, folder: Path) -> Build:
    """End the build as its child says; with a success its bytes are stored first.

    ``folder`` is the only place that an artifact may lie in. Raises OutcomeError where the
    certificate is not of these bytes or this build, Conflict where the lease is lost.
    """
    if outcome.outcome != "succeeded":
        return _end(build, owner, outcome)
    certificate, manifest = _check(build, outcome)
    artifact = blobs.put(_chunks(_locate(outcome, folder)), max_bytes=MAX_ARTIFACT_BYTES)
    if artifact.sha256 != certificate.artifact_sha256:
        raise OutcomeError("the artifact is not the one that was certified.")
    body = blobs.put_bytes(certificate.to_json())
    with transaction.atomic():
        ended = _end(build, owner, outcome)
        supersede_artifact(build)
        row = Artifact.objects.create(
            build=build,
            version=build.version,
            profile=build.profile,
            sha256=artifact.sha256,
            length=artifact.length,
            runtime=str(certificate.runtime),
            runtime_version=certificate.runtime_version,
            precision=str(certificate.precision),
            peak_memory_bytes=_peak_memory_bytes(outcome),
            manifest_body=manifest.model_dump(mode="json", exclude_none=True),
            created_at=clock.now(),
        )
        Certificate.objects.create(
            artifact=row,
            sha256=body.sha256,
            length=body.length,
            body=certificate.model_dump(mode="json"),
        )
    return ended


def give_up(*, build: Build, owner: str, why: str, is_final: bool) -> None:
    """End an attempt that brought no outcome: for good, or to be tried again."""
    with transaction.atomic():
        lock_lease(build, owner)
        if is_final:
            close_build(build, BuildState.FAILED, owner, why)
        else:
            return_build(build, why, actor=owner)


def _end(build: Build, owner: str, outcome: BuildOutcome) -> Build:
    candidates = [candidate.model_dump(mode="json") for candidate in outcome.candidates]
    with transaction.atomic():
        lock_lease(build, owner)
        close_build(build, _STATES[outcome.outcome], owner, outcome.reason, candidates=candidates)
    return build


def close_build(build: Build, state: BuildState, actor: str, why: str, **changes: Any) -> None:
    """Move a build to its end. Call in a transaction; StaleState where somebody was faster."""
    why = why[:MAX_REASON]
    if state is BuildState.SUCCEEDED:
        changes["share"] = 1.0
    move(
        BUILD,
        build,
        state,
        actor=actor,
        reason=why,
        finished_at=clock.now(),
        lease_expires_at=None,
        **changes,
    )
    Build.objects.filter(pk=build.pk).update(reason=why)
    build.reason = why
    wake_waiting(build.key)


def supersede_artifact(build: Build) -> None:
    """Make way for what ``build`` made: new releases take that. Call in its transaction.

    Releases that are signed keep what they were signed with.
    """
    before = Artifact.objects.filter(version=build.version, profile=build.profile)
    before.filter(superseded_at=None).update(superseded_at=clock.now())


def lock_lease(build: Build, owner: str) -> None:
    """Nobody else may have the lease: a worker that was thought dead comes too late."""
    LEASES.lock(build, owner)


def _check(build: Build, outcome: BuildOutcome) -> tuple[ParityCertificate, ModelManifest]:
    """The certificate must be of this very request: the child has run foreign code's weights."""
    certificate, manifest = outcome.certificate, outcome.manifest
    if certificate is None or manifest is None:
        raise OutcomeError("the child says succeeded, but delivers no certificate or no manifest.")
    check_certificate(build, certificate)
    if certificate.artifact_sha256 != outcome.artifact_sha256:
        raise OutcomeError("the certificate is for another build: its artifact_sha256 differs.")
    return certificate, manifest


def check_certificate(build: Build, certificate: ParityCertificate) -> None:
    """OutcomeError unless it is of what ``build`` is for, and keeps the limits that it names."""
    version = build.version
    asked = {
        "source_sha256": version.sha256,
        "manifest_sha256": version.manifest_sha256,
        "golden_sha256": version.model.golden.sha256,
        "calibration_sha256": version.model.calibration.sha256,
        "profile": build.profile.name,
        "runtime": build.profile.runtime,
        "compute_device": build.profile.compute_device,
        "limits": build.limits,
    }
    for name, value in asked.items():
        if getattr(certificate, name) != value:
            raise OutcomeError(f"the certificate is for another build: its {name} differs.")
    _require_kept(certificate)


def _require_kept(certificate: ParityCertificate) -> None:
    name, figures = str(certificate.precision), certificate.parity
    if broken := find_broken_limit(name, figures, certificate.latency, certificate.limits):
        raise OutcomeError(f"the certificate breaks its own limits: {broken}.")


def _locate(outcome: BuildOutcome, folder: Path) -> Path:
    path = Path(outcome.artifact_path or "").resolve()
    if not path.is_relative_to(folder.resolve()) or not path.is_file():
        raise OutcomeError("the artifact does not lie where it was asked for.")
    return path


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(blobs.CHUNK_BYTES):
            yield chunk


def _peak_memory_bytes(outcome: BuildOutcome) -> int:
    chosen = (c for c in outcome.candidates if c.outcome == "chosen")
    return next((c.peak_memory_bytes or 0 for c in chosen), 0)
