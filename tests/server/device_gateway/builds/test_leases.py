"""A device that builds has a lease: files while it lasts, three attempts in all."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from pathlib import Path

import pytest

from inference_core.contract.build import BuildOutcome
from inference_core.contract.device_build import BuildLease
from server.builds import services
from server.builds.models import Artifact, Build, BuildTurn, UploadedPiece
from server.builds.states import BuildState, TurnEnd
from server.fleet.models import Line
from server.lib import blobs, clock
from tests.server.box import Box
from tests.server.builds.test_outcomes import ENGINE, outcome_of
from tests.server.device_gateway.builds.turns import (
    finish,
    leased,
    offered,
    other_box,
    says,
    send_piece,
)

pytestmark = pytest.mark.django_db


def test_a_lease_names_all_that_the_build_needs_and_asking_again_gives_the_same(
    box: Box, build: Build
) -> None:
    turn = offered(box)
    first, again = (box.post(f"builds/{turn}/lease", {}) for _ in range(2))
    assert first.content == again.content
    lease = BuildLease.model_validate_json(first.content)
    assert (lease.build, lease.source_sha256) == (build.pk, build.version.sha256)
    assert lease.manifest == build.version.manifest
    assert lease.golden.sha256 == build.version.model.golden.sha256
    assert lease.golden.files[0].path == "labels.jsonl"
    build.refresh_from_db()
    assert (build.state, build.attempts) == (BuildState.LEASED, 1)


def test_files_come_in_ranges_only_while_leased_and_only_what_is_needed(
    box: Box, build: Build
) -> None:
    turn, source = offered(box), build.version.sha256
    address = f"builds/{turn}/files/{source}"
    assert box.get(address).status_code == 409
    box.post(f"builds/{turn}/lease", {})
    whole = b"".join(box.get(address).streaming_content)
    rest = box.get(address, Range="bytes=100-")
    assert hashlib.sha256(whole).hexdigest() == source
    assert (rest.status_code, b"".join(rest.streaming_content)) == (206, whole[100:])
    labels = build.version.model.golden.labels_sha256
    assert box.get(f"builds/{turn}/files/{labels}").status_code == 200
    foreign = blobs.put_bytes(b"somebody else's").sha256
    assert box.get(f"builds/{turn}/files/{foreign}").status_code == 404
    box.post(f"builds/{turn}/return", {"reason": "a deployment came"})
    assert box.get(address).status_code == 409


@pytest.mark.parametrize("verb", ["lease", "progress", "outcome", "decline", "return"])
def test_another_devices_turn_is_as_if_it_did_not_exist(
    box: Box, line: Line, build: Build, tmp_path: Path, verb: str
) -> None:
    turn, stranger = leased(box), other_box(line)
    row = Build.objects.select_related("version__model", "profile").get()
    bodies = {"outcome": outcome_of(row, tmp_path).to_json(), "lease": {}, "progress": {}}
    answer = stranger.post(f"builds/{turn}/{verb}", bodies.get(verb, {"reason": "x"}))
    assert answer.status_code == 404
    assert send_piece(stranger, turn, 0, ENGINE).status_code == 404
    assert stranger.get(f"builds/{turn}/files/{build.version.sha256}").status_code == 404
    assert Build.objects.get().lease_owner == f"device:box-1#{turn}"


def test_a_heartbeat_stores_progress_and_keeps_the_lease(box: Box, build: Build) -> None:
    turn = leased(box)
    Build.objects.update(lease_expires_at=clock.now())
    beat = {"step": "convert", "share": 0.4, "log": "40%"}
    assert box.post(f"builds/{turn}/progress", beat).status_code == 204
    build.refresh_from_db()
    assert (build.step, build.share, build.log) == ("convert", 0.4, "40%")
    assert build.lease_expires_at is not None
    assert build.lease_expires_at > clock.now() + timedelta(seconds=30)


def test_an_expired_lease_is_a_conflict_and_another_device_is_next(
    box: Box, line: Line, build: Build, tmp_path: Path
) -> None:
    turn, second = leased(box), other_box(line)
    send_piece(box, turn, 0, b"half of it")
    Build.objects.update(lease_expires_at=clock.now() - timedelta(seconds=1))
    services.expire_leases()
    assert box.post(f"builds/{turn}/progress", {}).status_code == 409
    assert send_piece(box, turn, 10, b"more").status_code == 409
    assert finish(box, turn, tmp_path).status_code == 409
    says(second)
    (again,) = services.offer_builds(busy=())
    assert again.device_id == second.device_id
    assert BuildTurn.objects.get(pk=turn).ended == TurnEnd.LOST
    assert not UploadedPiece.objects.exists()
    assert not Artifact.objects.exists()


def test_after_three_attempts_it_is_given_up(box: Box, build: Build) -> None:
    for _ in range(3):
        turn = leased(box)
        answer = box.post(f"builds/{turn}/return", {"reason": "parts came late"})
        assert answer.status_code == 204
    build.refresh_from_db()
    assert build.state == BuildState.FAILED
    assert "box-1 gave it back: parts came late" in build.reason
    assert services.offer_builds(busy=()) == []


def test_what_a_device_cannot_do_now_is_another_attempt_and_what_it_never_can_ends_the_build(
    box: Box, build: Build
) -> None:
    for is_final, state in ((False, BuildState.QUEUED), (True, BuildState.FAILED)):
        outcome = BuildOutcome(
            outcome="failed", reason="no memory is left", candidates=(), is_final=is_final
        )
        answer = box.post(f"builds/{leased(box)}/outcome", outcome.to_json())
        assert (answer.status_code, answer.json()["state"]) == (200, state)
        build.refresh_from_db()
        assert build.state == state
    assert BuildTurn.objects.order_by("pk").values_list("ended", flat=True)[0] == TurnEnd.RETURNED
    assert build.reason == "no memory is left"
