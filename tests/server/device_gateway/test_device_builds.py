"""Builds on devices, the server's side: one device at a time, held to all that a worker is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import default_storage
from pytest_django import (
    DjangoAssertNumQueries,
    DjangoCaptureOnCommitCallbacks,
    Settings,
)
from rest_framework.test import APIClient

from inference_core.contract.build import BuildOutcome, ParityCertificate, ParityLimits
from inference_core.contract.device import BuildOffer, Goal
from inference_core.contract.device_build import MAX_PIECE_BYTES, BuildLease
from inference_core.contract.window import UpdateWindow
from server.accounts.models import AuditEntry, Role
from server.builds import dispatch, selectors, services, worker
from server.builds.device_reads import why_no_device
from server.builds.errors import OutcomeError
from server.builds.models import Artifact, Build, BuildTurn, UploadedPiece
from server.builds.services import offers
from server.builds.services.device_checks import require_as_asked
from server.builds.states import BuildState, TurnEnd, TurnState
from server.fleet.building import set_building
from server.fleet.models import BuiltOn, Device, HardwareProfile, Line
from server.fleet.services import quarantine_device
from server.fleet.windows import is_open, set_update_window
from server.lib import blobs, clock
from server.registry.models import ModelVersion
from server.registry.services import create_release, set_limits
from server.trust.selectors import is_signed
from tests.server import catalogue
from tests.server.box import Box, make_box
from tests.server.builds.test_outcomes import ENGINE, outcome_of

pytestmark = pytest.mark.django_db

Somebody = Callable[..., APIClient]
PROFILE = "x86-onnxruntime"
BUILDING = f"/api/v1/hardware-profiles/{PROFILE}/building"
SHA256 = hashlib.sha256(ENGINE).hexdigest()


@pytest.fixture(autouse=True)
def own_files(tmp_path: Path, settings: Settings) -> None:
    settings.DATA = tmp_path / "data"
    default = {**settings.STORAGES["default"], "OPTIONS": {"location": tmp_path / "blobs"}}
    settings.STORAGES = {**settings.STORAGES, "default": default}


@pytest.fixture
def profile(box: Box) -> HardwareProfile:
    profile = HardwareProfile.objects.get(name=PROFILE)
    set_building(
        profile=profile,
        built_on=BuiltOn.DEVICE,
        needs_approval=True,
        reason="There is no twin.",
        actor="user:ada",
    )
    return profile


@pytest.fixture
def version(box: Box) -> ModelVersion:
    """As after an upload; nothing here is about the child that inspects one."""
    manifest = catalogue.manifest_json()
    blob = blobs.put_bytes(catalogue.onnx_bytes())
    return ModelVersion.objects.create(
        model=catalogue.vision_model(),
        version="1.0.0",
        sha256=blob.sha256,
        length=blob.length,
        manifest_sha256=hashlib.sha256(manifest.encode()).hexdigest(),
        manifest_body=json.loads(manifest),
        report={},
        created_at=clock.now(),
        created_by="test",
    )


@pytest.fixture
def build(version: ModelVersion, profile: HardwareProfile) -> Build:
    return services.queue_build(version=version, profile=profile, actor="test")


def says(box: Box, **changes: Any) -> BuildOffer | None:
    """What the box is offered when it polls, willing to build."""
    answer = box.poll(box.report(**{"may_build": True} | changes))
    return Goal.model_validate_json(answer.content).build


def offered(box: Box, busy: tuple[Any, ...] = ()) -> int:
    says(box)
    (turn,) = services.offer_builds(busy=busy)
    return turn.pk


def leased(box: Box) -> int:
    turn = offered(box)
    assert box.post(f"builds/{turn}/lease", {}).status_code == 200
    return turn


def send_piece(box: Box, turn: int, start: int, content: bytes) -> Any:
    return box.client.patch(
        f"/device/v1/builds/{turn}/artifact",
        content,
        content_type="application/octet-stream",
        headers={**box._headers(), "Linewarden-Offset": str(start)},
    )


def finish(box: Box, turn: int, tmp_path: Path, engine: bytes = ENGINE, **forged: Any) -> Any:
    send_piece(box, turn, 0, engine)
    row = BuildTurn.objects.select_related("build").get(pk=turn)
    outcome = outcome_of(row.build, tmp_path, **forged)
    return box.post(f"builds/{turn}/outcome", outcome.to_json())


def other_box(line: Line, serial: str = "box-2") -> Box:
    return make_box(line, serial)


# The offer


def test_an_offer_reaches_one_device_and_changes_its_etag_and_an_idle_poll_stays_free(
    box: Box,
    line: Line,
    build: Build,
    django_assert_num_queries: DjangoAssertNumQueries,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    second = other_box(line)
    report = box.report(may_build=True)
    before = box.poll(report)["ETag"]
    assert says(second) is None
    with django_capture_on_commit_callbacks(execute=True):
        (turn,) = services.offer_builds(busy=())
        assert services.offer_builds(busy=()) == []
    after = box.poll(report)
    assert turn.device_id == box.device_id
    assert after["ETag"] != before
    offer = Goal.model_validate_json(after.content).build
    assert offer is not None
    assert (offer.turn, offer.build, offer.runtime) == (turn.pk, build.pk, "onnxruntime")
    assert offer.download_bytes > build.version.length
    assert says(second) is None
    with django_assert_num_queries(0):
        assert box.poll(report, etag=after["ETag"]).status_code == 304


def test_who_is_not_willing_busy_away_or_out_of_its_window_is_not_offered(
    box: Box, line: Line, build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    says(box, may_build=False)
    assert services.offer_builds(busy=()) == []
    says(box)
    assert services.offer_builds(busy=[box.device_id]) == []
    now = clock.now()
    closed = {"slots": [{"starts_at": f"{now - timedelta(hours=2):%H:%M}", "duration_min": 60}]}
    set_update_window(line=line, window=UpdateWindow.model_validate(closed), actor="test")
    assert services.offer_builds(busy=()) == []
    set_update_window(line=line, window=None, actor="test")
    monkeypatch.setattr(clock, "now", lambda: now + timedelta(hours=1))
    assert services.offer_builds(busy=()) == []
    monkeypatch.undo()
    assert len(services.offer_builds(busy=())) == 1


def test_a_device_of_another_profile_gets_no_offer(box: Box, build: Build) -> None:
    Device.objects.update(profile=HardwareProfile.objects.get(name="x86-openvino"))
    says(box)
    assert services.offer_builds(busy=()) == []


def test_a_device_in_a_rollout_is_among_the_busy(box: Box, build: Build) -> None:
    from server.device_gateway.tasks import offer_builds
    from server.rollouts import selectors as rollouts

    assert rollouts.devices_in_rollouts() == set()
    says(box)
    offer_builds()
    assert BuildTurn.objects.get().device_id == box.device_id


def test_an_offer_that_nobody_takes_goes_to_the_next_device(
    box: Box, line: Line, build: Build
) -> None:
    turn, second = offered(box), other_box(line)
    long_ago = clock.now() - timedelta(seconds=offers.OFFER_S + 1)
    BuildTurn.objects.update(offered_at=long_ago)
    says(second)
    (again,) = services.offer_builds(busy=())
    assert again.device_id == second.device_id
    over = BuildTurn.objects.get(pk=turn)
    assert (over.state, over.ended) == (TurnState.ENDED, TurnEnd.WITHDRAWN)
    assert box.post(f"builds/{turn}/lease", {}).status_code == 409


def test_a_quarantined_device_loses_its_offer(box: Box, build: Build) -> None:
    turn = offered(box)
    quarantine_device(device=box.device, actor="user:ada", reason="smells")
    assert services.offer_builds(busy=()) == []
    assert "quarantined" in BuildTurn.objects.get(pk=turn).why


def test_a_decline_costs_no_attempt_and_its_sentence_is_shown(
    box: Box, build: Build, somebody: Somebody
) -> None:
    turn = offered(box)
    why = "needs: pip install 'linewarden[build]' (onnx is missing)"
    for _ in range(2):
        assert box.post(f"builds/{turn}/decline", {"reason": why}).status_code == 204
    build.refresh_from_db()
    assert (build.state, build.attempts) == (BuildState.QUEUED, 0)
    shown = somebody(Role.VIEWER).get(f"/api/v1/builds/{build.pk}").json()
    assert [(t["ended"], t["why"]) for t in shown["turns"]] == [("declined", why)]
    assert services.offer_builds(busy=()) == []  # not the same device again at once


def test_the_page_says_for_whom_a_build_waits(box: Box, build: Build, somebody: Somebody) -> None:
    release = create_release(
        name="r1",
        pipeline=catalogue.pipeline(),
        versions={catalogue.MODEL: "1.0.0"},
        notes="",
        actor="test",
    )
    missing = selectors.missing_artifacts(release, Device.objects.select_related("profile"))
    assert [m.why for m in missing] == ["waits for a device that builds it"]
    says(box, may_build=False)
    assert "set may_build on one of them" in why_no_device(build)
    says(box)
    assert "Waits for a device that is online" in why_no_device(build)
    Device.objects.update(state="quarantined")
    assert why_no_device(build) == f"No device of {PROFILE} is accepted yet."


def test_workers_leave_it_alone_and_get_no_message(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[Any] = []
    monkeypatch.setattr(dispatch.app, "send_task", lambda *a, **k: sent.append((a, k)))
    assert services.resend_builds() == 0
    worker.run_build(build.pk)
    build.refresh_from_db()
    assert (build.state, sent) == (BuildState.QUEUED, [])


# The lease


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


# The artifact


def test_pieces_come_in_order_and_a_repeat_learns_where_to_go_on(box: Box, build: Build) -> None:
    turn = leased(box)
    assert send_piece(box, turn, 0, ENGINE[:2]).json() == {"received": 2}
    again = send_piece(box, turn, 0, ENGINE[:2])
    assert (again.status_code, again.json()["received"]) == (409, 2)
    assert box.get(f"builds/{turn}/artifact").json() == {"received": 2}
    assert send_piece(box, turn, 2, ENGINE[2:]).json() == {"received": len(ENGINE)}


def test_what_is_too_large_is_refused_before_it_is_stored(
    box: Box, build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    turn = leased(box)
    assert send_piece(box, turn, 0, bytes(MAX_PIECE_BYTES + 1)).status_code == 413
    monkeypatch.setattr("server.builds.services.uploads.MAX_ARTIFACT_BYTES", 4)
    assert send_piece(box, turn, 0, b"12345").status_code == 413
    assert not UploadedPiece.objects.exists()


def test_a_true_outcome_is_recorded_and_waits_for_a_person(
    box: Box, build: Build, tmp_path: Path
) -> None:
    turn = leased(box)
    answers = [finish(box, turn, tmp_path) for _ in range(2)]  # the first answer was lost
    assert [(a.status_code, a.json()["state"]) for a in answers] == [(200, "succeeded")] * 2
    artifact = Artifact.objects.get()
    assert (artifact.sha256, artifact.device_id) == (SHA256, box.device_id)
    assert artifact.certificate.body["built_on"]["device"] == "box-1"
    assert BuildTurn.objects.get().ended == TurnEnd.FINISHED
    assert says(box) is None
    assert artifact.waits_for_approval
    assert services.sign_waiting_releases() == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"engine": b"another"},
        {"golden_sha256": "0" * 64},
        {"profile": "another"},
        {"precision": "fp16"},
        {"limits": ParityLimits(min_agreement=0)},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_a_wrong_artifact_or_certificate_is_refused_and_the_build_given_back(
    box: Box, build: Build, tmp_path: Path, wrong: dict[str, Any]
) -> None:
    answer = finish(box, leased(box), tmp_path, **wrong)
    assert answer.status_code == 422
    build.refresh_from_db()
    assert (build.state, build.attempts) == (BuildState.QUEUED, 1)
    assert not Artifact.objects.exists()


def test_a_device_judges_by_the_limits_of_the_order_and_no_laxer_ones(
    box: Box, version: ModelVersion, profile: HardwareProfile, tmp_path: Path
) -> None:
    def decide(limits: ParityLimits, expected: int) -> None:
        model = version.model
        set_limits(model=model, limits=limits, expected=expected, reason="r", actor="user:ada")

    asked = ParityLimits(min_agreement=1, max_p95_ms=40)
    decide(asked, 0)
    services.queue_build(version=version, profile=profile, actor="test")
    turn = offered(box)
    decide(ParityLimits(min_agreement=0.9), 1)
    lease = BuildLease.model_validate_json(box.post(f"builds/{turn}/lease", {}).content)
    assert lease.limits == asked

    laxer = finish(box, turn, tmp_path, limits=ParityLimits(min_agreement=0.9))
    assert laxer.status_code == 422
    assert "judged by other limits" in laxer.json()["detail"]
    slow = {"p50_ms": 30, "p95_ms": 41, "runs": 30}
    answer = finish(box, leased(box), tmp_path, limits=asked, latency=slow)
    assert answer.status_code == 422
    assert "breaks its own limits: fp32 took 41.0 ms" in answer.json()["detail"]
    assert finish(box, leased(box), tmp_path, limits=asked).status_code == 200


def test_a_device_cannot_change_what_the_model_means(
    box: Box, build: Build, tmp_path: Path
) -> None:
    turn = leased(box)
    send_piece(box, turn, 0, ENGINE)
    outcome = outcome_of(Build.objects.select_related("version__model", "profile").get(), tmp_path)
    manifest = build.version.manifest
    blind = manifest.decoder.model_copy(update={"min_area_px": 10**9})
    said = outcome.model_copy(update={"manifest": manifest.model_copy(update={"decoder": blind})})
    answer = box.post(f"builds/{turn}/outcome", said.to_json())
    assert answer.status_code == 422
    assert "manifest is not the one" in answer.json()["detail"]


def test_an_alphabet_that_only_the_model_names_may_be_written_out(build: Build) -> None:
    ctc = {"kind": "ctc", "output": "logits", "alphabet_key": "character"}
    text = {"task": "text_recognition", "decoder": ctc}
    asked = build.version.manifest.model_validate(
        build.version.manifest.model_dump(exclude={"decoder", "task"}) | text
    )
    build.version.manifest_body = asked.model_dump(mode="json")
    decoder = {"alphabet": ("a", "b"), "alphabet_key": None}
    said = asked.model_copy(update={"decoder": asked.decoder.model_copy(update=decoder)})
    outcome = BuildOutcome.model_construct(
        outcome="succeeded",
        certificate=ParityCertificate.model_construct(precision="fp32", limits=ParityLimits()),
        manifest=said,
    )
    require_as_asked(build, outcome, ParityLimits())
    other = said.decoder.model_copy(update={"blank": 5})
    changed = outcome.model_copy(update={"manifest": said.model_copy(update={"decoder": other})})
    with pytest.raises(OutcomeError, match="manifest"):
        require_as_asked(build, changed, ParityLimits())


def test_the_pieces_are_gone_when_the_turn_is_over(
    box: Box,
    build: Build,
    tmp_path: Path,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    turn = leased(box)
    with django_capture_on_commit_callbacks(execute=True):
        finish(box, turn, tmp_path)
    assert not UploadedPiece.objects.exists()
    assert default_storage.listdir(f"pieces/{turn}") == ([], [])
    assert blobs.read(SHA256) == ENGINE


# A person's word


@pytest.fixture
def waiting(box: Box, build: Build, tmp_path: Path) -> Artifact:
    assert finish(box, leased(box), tmp_path).status_code == 200
    return Artifact.objects.get()


def test_a_releaser_approves_and_it_is_signed_from_the_queue_of_signers(
    waiting: Artifact, build: Build, somebody: Somebody, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[Any] = []
    monkeypatch.setattr(dispatch.app, "send_task", lambda *a, **k: sent.append((a[0], k["queue"])))
    release = create_release(
        name="r1",
        pipeline=catalogue.pipeline(),
        versions={catalogue.MODEL: "1.0.0"},
        notes="",
        actor="test",
    )
    devices = Device.objects.select_related("profile")

    def whys() -> list[str]:
        return [m.why for m in selectors.missing_artifacts(release, devices)]

    address = f"/api/v1/builds/{build.pk}/approve"
    with pytest.raises(Exception, match="waits for approval"):
        services.sign_artifact(artifact_id=waiting.pk)
    assert whys() == ["waits for approval"]
    operator = somebody(Role.OPERATOR, name="bob")
    assert operator.post(address, {"reason": "fine"}).status_code == 403
    releaser = somebody(Role.RELEASER)
    assert releaser.post(address, {}).status_code == 422
    shown = releaser.post(address, {"reason": "The box stands in our hall."})
    assert shown.json()["artifact"]["approved_by"] == "token:ci of ada"
    assert releaser.post(address, {"reason": "again"}).status_code == 409
    entry = AuditEntry.objects.get(action="approve", subject="artifact")
    assert (entry.actor, entry.reason) == ("token:ci of ada", "The box stands in our hall.")
    assert services.sign_waiting_releases() == 1
    assert sent == [("server.builds.tasks.sign_artifact", "sign")]
    services.sign_artifact(artifact_id=waiting.pk)
    assert is_signed(f"{PROFILE}/artifacts/{SHA256}")
    assert whys() == ["not yet signed"]


def test_what_is_rejected_is_never_signed_and_may_be_built_again(
    waiting: Artifact, build: Build, somebody: Somebody
) -> None:
    releaser = somebody(Role.RELEASER)
    address = f"/api/v1/builds/{build.pk}/reject"
    assert releaser.post(address, {"reason": "The box was stolen."}).status_code == 200
    assert not Artifact.objects.exists()
    assert AuditEntry.objects.get(action="reject").subject_id == SHA256
    wanted = {"version": build.version, "profile": build.profile, "actor": "test"}
    assert services.queue_build(**wanted).pk == build.pk
    again = services.queue_build(**wanted, again=True, reason="The box is back, wiped.")
    assert again.pk != build.pk


def test_a_profile_may_do_without_approval_and_what_was_built_keeps_its_rule(
    waiting: Artifact, profile: HardwareProfile, somebody: Somebody
) -> None:
    body = {"built_on": "device", "needs_approval": False, "reason": "All boxes are sealed."}
    assert somebody(Role.RELEASER).put(BUILDING, body).status_code == 403
    admin = somebody(Role.ADMIN, name="eve")
    assert admin.put(BUILDING, body).json()["needs_approval"] is False
    assert admin.put(BUILDING, body | {"reason": ""}).status_code == 422
    entry = AuditEntry.objects.filter(action="set_building", actor="token:ci of eve").get()
    assert (entry.reason, entry.after["needs_approval"]) == ("All boxes are sealed.", False)
    assert services.sign_waiting_releases() == 0


@pytest.mark.parametrize(
    ("at", "is_within"),
    [
        ("2026-06-01T21:59", False),  # 21:59 UTC is 23:59 in Berlin
        ("2026-06-01T22:00", True),
        ("2026-06-02T01:59", True),
        ("2026-06-02T02:00", False),
        ("2026-01-05T22:30", False),  # winter: 23:30 there
        ("2026-01-05T23:00", True),
    ],
)
def test_the_server_reads_a_window_by_the_clock_on_the_wall(at: str, is_within: bool) -> None:
    from datetime import UTC, datetime

    window = UpdateWindow.model_validate(
        {
            "time_zone": "Europe/Berlin",
            "slots": [{"weekdays": [1], "starts_at": "00:00", "duration_min": 240}],
        }
    )
    moment = datetime.fromisoformat(at).replace(tzinfo=UTC)
    assert is_open(window, moment) is is_within
