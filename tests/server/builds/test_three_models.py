"""A real detector, recogniser and segmentation net by the worker's real path: signed together."""

from __future__ import annotations

from pathlib import Path

import pytest

from inference_core.contract.build import Candidate, ParityCertificate
from inference_core.contract.golden import PipelineCertificate
from server.builds import selectors, services, worker
from server.builds.models import Build
from server.builds.states import BuildState
from server.demo.boards import MM_PER_PX
from server.fleet.models import Device, HardwareProfile
from server.registry.services import create_release
from tests.server.builds.judging import judge
from tests.server.builds.three_models import DETECTOR, FEW, PIPELINE, upload_three_models
from tests.server.catalogue import ACTOR

pytestmark = pytest.mark.django_db


def run(build: Build) -> Build:
    worker.run_build(build.pk)
    build.refresh_from_db()
    assert build.state == BuildState.SUCCEEDED, build.reason + build.log
    return build


def candidates_of(build: Build) -> dict[str, Candidate]:
    found = [Candidate.model_validate(body) for body in build.candidates]
    return {str(candidate.precision): candidate for candidate in found}


def test_three_real_models_become_certified_artifacts_and_one_signed_release(
    device: Device, profile: HardwareProfile, tmp_path: Path
) -> None:
    HardwareProfile.objects.update(precisions=["int8", "fp32"])
    three = upload_three_models(tmp_path, FEW)

    builds = {build.version.model.name: run(build) for build in queue_all()}

    assert set(builds) == set(three.versions)
    for name, build in builds.items():
        tried = candidates_of(build)
        certificate = ParityCertificate.model_validate(build.artifact.certificate.body)
        chosen = tried.pop(str(certificate.precision))
        assert chosen.outcome == "chosen", name
        assert chosen.parity is not None
        assert certificate.parity == chosen.parity
        assert certificate.parity.share >= certificate.limits.min_metric_share
        # Every other candidate is told of with a figure and a reason.
        for other in tried.values():
            assert other.outcome in {"slower", "refused"}, other.reason
            assert other.parity is not None
            assert other.reason
    # INT8 of NanoDet keeps its answers, but not 99 % of its mAP: the next candidate is taken.
    detector = candidates_of(builds[DETECTOR])
    assert (detector["int8"].outcome, detector["fp32"].outcome) == ("refused", "chosen")
    assert "at least 99.0% is asked" in detector["int8"].reason

    release = create_release(
        name="three-1",
        pipeline=PIPELINE,
        versions=dict.fromkeys(three.versions, "1.0.0"),
        notes="",
        golden=three.frames,
        golden_mm_per_px=MM_PER_PX,
        actor=ACTOR,
    )
    check = judge(release, profile)

    proof = PipelineCertificate.model_validate(check.certificate)
    assert {name: model.artifact_sha256 for name, model in proof.models.items()} == {
        name: build.artifact.sha256 for name, build in builds.items()
    }
    assert len(proof.cases) == proof.truth.labelled == FEW.boards
    assert {case.reference.value for case in proof.cases} == {"pass", "fail"}
    assert selectors.missing_artifacts(release, [device]) == []


def queue_all() -> list[Build]:
    """As the sweep does for profiles in use."""
    return services.queue_missing_builds(actor="system")
