"""A child may be wrong, or wronged: what it delivers is held to what was asked for."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from inference_core.contract.build import (
    BuildOutcome,
    Candidate,
    LatencyFigures,
    ParityCertificate,
    ParityFigures,
    ParityLimits,
)
from server.builds import services
from server.builds.errors import OutcomeError
from server.builds.models import Artifact, Build
from server.builds.states import BuildState
from server.fleet.models import HardwareProfile
from server.registry.models import ModelVersion

pytestmark = pytest.mark.django_db

ENGINE = b"engine"
OWNER = "w1"


@pytest.fixture
def build(version: ModelVersion, profile: HardwareProfile) -> Build:
    queued = services.queue_build(version=version, profile=profile, actor="test")
    leased = services.lease_build(build_id=queued.pk, owner=OWNER)
    assert leased is not None
    return leased


def outcome_of(build: Build, folder: Path, **forged: object) -> BuildOutcome:
    path = folder / "engine.onnx"
    path.write_bytes(ENGINE)
    sha256 = hashlib.sha256(ENGINE).hexdigest()
    parity = ParityFigures(
        metric="mean_iou", reference=1, artifact=1, share=1, score_shift=0, agreement=1, images=6
    )
    certificate = ParityCertificate.model_validate(
        {
            "source_sha256": build.version.sha256,
            "manifest_sha256": build.version.manifest_sha256,
            "artifact_sha256": sha256,
            "golden_sha256": build.version.model.golden.sha256,
            "calibration_sha256": build.version.model.calibration.sha256,
            "profile": build.profile.name,
            "runtime": build.profile.runtime,
            "runtime_version": "1",
            "precision": "fp32",
            "parity": parity,
            "limits": ParityLimits(),
            "latency": LatencyFigures(p50_ms=1, p95_ms=1, runs=5),
            **forged,
        }
    )
    return BuildOutcome(
        outcome="succeeded",
        reason="fp32 is the fastest.",
        candidates=(Candidate(precision="fp32", outcome="chosen", reason="Fast."),),
        artifact_path=str(path),
        artifact_sha256=sha256,
        artifact_bytes=len(ENGINE),
        certificate=certificate,
        manifest=build.version.manifest,
    )


def record(build: Build, outcome: BuildOutcome, folder: Path) -> None:
    services.record_outcome(build=build, owner=OWNER, outcome=outcome, folder=folder)


def test_a_true_outcome_is_recorded(build: Build, tmp_path: Path) -> None:
    record(build, outcome_of(build, tmp_path), tmp_path)

    artifact = Artifact.objects.get()
    assert artifact.sha256 == hashlib.sha256(ENGINE).hexdigest()
    assert artifact.certificate.body["profile"] == build.profile.name
    assert build.state == BuildState.SUCCEEDED


@pytest.mark.parametrize(
    "forged",
    [
        {"source_sha256": "0" * 64},
        {"manifest_sha256": "0" * 64},
        {"golden_sha256": "0" * 64},
        {"calibration_sha256": "0" * 64},
        {"artifact_sha256": "0" * 64},
        {"profile": "another"},
        {"runtime": "openvino"},
    ],
)
def test_a_certificate_of_another_build_is_not_used(
    build: Build, tmp_path: Path, forged: dict[str, object]
) -> None:
    outcome = outcome_of(build, tmp_path, **forged)

    with pytest.raises(OutcomeError, match=next(iter(forged))):
        record(build, outcome, tmp_path)
    assert not Artifact.objects.exists()


def test_bytes_that_changed_after_they_were_certified_are_not_used(
    build: Build, tmp_path: Path
) -> None:
    outcome = outcome_of(build, tmp_path)
    (tmp_path / "engine.onnx").write_bytes(b"another engine")

    with pytest.raises(OutcomeError, match="not the one"):
        record(build, outcome, tmp_path)
    assert not Artifact.objects.exists()


@pytest.mark.parametrize("place", ["/etc/passwd", "../secret", "link", "nowhere", ""])
def test_an_artifact_outside_its_folder_is_not_read(
    build: Build, tmp_path: Path, place: str
) -> None:
    folder = tmp_path / "output"
    folder.mkdir()
    (tmp_path / "secret").write_bytes(ENGINE)
    (folder / "link").symlink_to("/etc/passwd")
    outcome = outcome_of(build, folder).model_copy(update={"artifact_path": str(folder / place)})

    with pytest.raises(OutcomeError, match="where it was asked"):
        record(build, outcome, folder)


def test_a_success_without_a_certificate_is_none(build: Build, tmp_path: Path) -> None:
    outcome = outcome_of(build, tmp_path).model_copy(update={"certificate": None})

    with pytest.raises(OutcomeError, match="no certificate"):
        record(build, outcome, tmp_path)
