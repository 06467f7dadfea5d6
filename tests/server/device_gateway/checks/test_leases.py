"""A device that judges has a lease: files while it lasts, three attempts in all."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from inference_core.contract.device_check import CheckLease
from server.builds.checks.leases import expire_checks
from server.builds.models import Artifact, BuildTurn, PipelineCheck
from server.datasets.models import DatasetVersion
from server.fleet.models import Camera, Line
from server.lib import blobs, clock
from tests.server import catalogue
from tests.server.box import Box, make_box
from tests.server.device_gateway.checks.turns import (
    deliver,
    judged,
    leased,
    offered,
)

pytestmark = pytest.mark.django_db


def test_a_lease_names_all_by_digest_and_asking_again_gives_the_same(
    box: Box, check: PipelineCheck, artifact: Artifact, patches: DatasetVersion
) -> None:
    Camera.objects.create(device=box.device, name="a", address="file:///a", mm_per_px=0.2)
    turn = offered(box)
    first = box.post(f"checks/{turn.pk}/lease", {})
    Camera.objects.update(mm_per_px=0.9)
    again = box.post(f"checks/{turn.pk}/lease", {})
    assert first.content == again.content
    lease = CheckLease.model_validate_json(first.content)
    model = lease.models[catalogue.MODEL]
    assert (model.source_sha256, model.artifact_sha256) == (
        artifact.version.sha256,
        artifact.sha256,
    )
    assert (lease.golden[0].sha256, lease.golden[0].model) == (patches.sha256, None)
    assert lease.mm_per_px == 0.2
    check.refresh_from_db()
    assert (check.state, check.attempts) == ("leased", 1)


def test_files_come_only_while_leased_and_only_what_judging_needs(
    box: Box, check: PipelineCheck, artifact: Artifact, patches: DatasetVersion
) -> None:
    turn = offered(box)
    address = f"checks/{turn.pk}/files"
    assert box.get(f"{address}/{artifact.sha256}").status_code == 409
    box.post(f"checks/{turn.pk}/lease", {})
    rest = box.get(f"{address}/{artifact.sha256}", Range="bytes=10-")
    assert b"".join(rest.streaming_content) == blobs.read(artifact.sha256)[10:]
    for sha256 in (artifact.version.sha256, patches.labels_sha256):
        assert box.get(f"{address}/{sha256}").status_code == 200
    calibration = artifact.version.model.calibration.labels_sha256
    assert box.get(f"{address}/{calibration}").status_code == 404
    box.post(f"checks/{turn.pk}/return", {"reason": "a deployment came"})
    assert box.get(f"{address}/{artifact.sha256}").status_code == 409


def test_a_turn_of_another_device_or_of_the_other_kind_is_as_if_it_did_not_exist(
    box: Box, line: Line, check: PipelineCheck, artifact: Artifact, tmp_path: Path
) -> None:
    lease = leased(box)
    stranger, outcome = make_box(line, "box-2"), judged(lease, tmp_path).to_json()
    calls = {"lease": {}, "progress": {}, "outcome": outcome}
    for verb in ("lease", "progress", "outcome", "decline", "return"):
        body = calls.get(verb, {"reason": "x"})
        assert stranger.post(f"checks/{lease.turn}/{verb}", body).status_code == 404
    file = f"checks/{lease.turn}/files/{artifact.sha256}"
    assert stranger.get(file).status_code == 404
    assert box.post(f"builds/{lease.turn}/lease", {}).status_code == 404
    assert box.get(f"builds/{lease.turn}/artifact").status_code == 404
    assert box.get(f"builds/{lease.turn}/files/{artifact.sha256}").status_code == 404
    assert PipelineCheck.objects.get().lease_owner == f"device:box-1#{lease.turn}"


def test_a_lost_lease_is_a_conflict_and_three_attempts_are_all(
    box: Box, check: PipelineCheck, tmp_path: Path
) -> None:
    lease = leased(box)
    outcome = judged(lease, tmp_path)
    assert box.post(f"checks/{lease.turn}/progress", {"share": 0.5}).status_code == 204
    assert PipelineCheck.objects.get().share == 0.5
    PipelineCheck.objects.update(lease_expires_at=clock.now() - timedelta(seconds=1))
    assert expire_checks() == 1
    assert box.post(f"checks/{lease.turn}/progress", {}).status_code == 409
    assert deliver(box, lease, outcome).status_code == 409
    for _ in range(2):
        again = leased(box)
        why = {"reason": "the check was killed by SIGKILL"}
        assert box.post(f"checks/{again.turn}/return", why).status_code == 204
    check.refresh_from_db()
    assert check.state == "failed"
    assert "box-1 gave it back: the check was killed by SIGKILL" in check.reason
    assert [turn.ended for turn in BuildTurn.objects.order_by("pk")] == [
        "lost",
        "returned",
        "returned",
    ]
