"""Golden cases judged by devices, the server's side: held to every case that the lease named."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings
from rest_framework.test import APIClient

from inference_core.contract.base import Message
from inference_core.contract.device import CheckOffer, Goal
from inference_core.contract.device_build import BuildSet
from inference_core.contract.device_check import CheckLease
from inference_core.contract.golden import PipelineCertificate, PipelineOutcome
from inference_core.optimize.golden import run_check
from server.accounts.models import AuditEntry, Role
from server.builds import dispatch, selectors, services
from server.builds.checks import worker as checker
from server.builds.checks.leases import expire_checks
from server.builds.checks.queueing import queue_check
from server.builds.checks.selectors import MAX_PASSES
from server.builds.models import Artifact, Build, BuildTurn, PipelineCheck, ReleaseTarget
from server.builds.services import offers
from server.builds.states import BuildState, TurnEnd
from server.datasets.models import DatasetVersion, Purpose
from server.fleet.building import set_building
from server.fleet.models import BuiltOn, Camera, Device, HardwareProfile, Line
from server.lib import blobs, clock
from server.lib.errors import Conflict
from server.registry.models import Release
from server.registry.services import create_release
from tests.core.golden.checks import DARK, FAINT, FINE, write_patches
from tests.server import catalogue
from tests.server.box import Box, make_box
from tests.server.builds.certified import certify, stored_version, upload_folder

pytestmark = pytest.mark.django_db

Somebody = Callable[..., APIClient]
PROFILE = "x86-onnxruntime"
API = "/api/v1/releases/r1/checks"
WAITS = "waits for a device of this profile to judge its golden cases"


@pytest.fixture(autouse=True)
def own_files(tmp_path: Path, settings: Settings) -> None:
    settings.DATA = tmp_path / "data"
    default = {**settings.STORAGES["default"], "OPTIONS": {"location": tmp_path / "blobs"}}
    settings.STORAGES = {**settings.STORAGES, "default": default}


@pytest.fixture(autouse=True)
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    messages: list[tuple[str, str]] = []
    monkeypatch.setattr(
        dispatch.app, "send_task", lambda *a, **k: messages.append((a[0], k["queue"]))
    )
    return messages


@pytest.fixture
def profile(box: Box) -> HardwareProfile:
    profile = HardwareProfile.objects.get(name=PROFILE)
    build_on_devices(profile)
    return profile


def build_on_devices(profile: HardwareProfile, *, needs_approval: bool = True) -> None:
    set_building(
        profile=profile,
        built_on=BuiltOn.DEVICE,
        needs_approval=needs_approval,
        reason="There is no twin.",
        actor="user:ada",
    )


@pytest.fixture
def patches(tmp_path: Path) -> DatasetVersion:
    levels = {"fine": FINE, "dark": DARK, "faint": FAINT}
    folder = write_patches(tmp_path / "patches", levels, fine="pass", dark="fail")
    return upload_folder(folder, "patches", Purpose.GOLDEN)


@pytest.fixture
def artifact(profile: HardwareProfile) -> Artifact:
    """As the box has built it, and a person approved it."""
    made = certify(stored_version(catalogue.vision_model()), profile, catalogue.onnx_bytes())
    Artifact.objects.filter(pk=made.pk).update(device=Device.objects.get())
    return made


def make_release(patches: DatasetVersion, **changes: Any) -> Release:
    fields: dict[str, Any] = {
        "pipeline": catalogue.pipeline(rule="defects.count('dark') > 0"),
        "versions": {catalogue.MODEL: "1.0.0"},
        "golden": patches,
        "notes": "",
    }
    return create_release(name="r1", actor="test", **fields | changes)


@pytest.fixture
def check(artifact: Artifact, profile: HardwareProfile, patches: DatasetVersion) -> PipelineCheck:
    return queue_check(release=make_release(patches), profile=profile, actor="test")


def says(box: Box, **changes: Any) -> CheckOffer | None:
    """What the box is offered when it polls, willing to build."""
    answer = box.poll(box.report(**{"may_build": True} | changes))
    return Goal.model_validate_json(answer.content).check


def offered(*boxes: Box) -> BuildTurn:
    for box in boxes:
        says(box)
    (turn,) = services.offer_checks(busy=())
    return turn


def leased(box: Box) -> CheckLease:
    turn = offered(box)
    answer = box.post(f"checks/{turn.pk}/lease", {})
    assert answer.status_code == 200, answer.content
    return CheckLease.model_validate_json(answer.content)


class Storage:
    """Brings what a lease names, as a device would by its calls."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def bring_file(self, sha256: str, length: int, path: Path, _: Any) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(blobs.read(sha256))
        assert path.stat().st_size == length

    def bring_set(self, wanted: BuildSet, folder: Path) -> Path:
        for file in wanted.files:
            path = folder / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(blobs.read(file.sha256))
        return folder

    def write_job(self, job: Message) -> Path:
        path = self.folder / "job.json"
        path.write_bytes(job.to_json())
        return path


def judged(lease: CheckLease, tmp_path: Path) -> PipelineOutcome:
    """What a true child says of a lease."""
    from device_agent.building.works import CheckWork
    from inference_core.contract.golden import PipelineJob

    storage: Any = Storage(tmp_path / "work")
    path = CheckWork(lease).bring(storage, None)
    outcome = run_check(PipelineJob.model_validate_json(path.read_bytes()), lambda _: None)
    shutil.rmtree(storage.folder)
    return outcome


def deliver(box: Box, lease: CheckLease, outcome: PipelineOutcome) -> Any:
    return box.post(f"checks/{lease.turn}/outcome", outcome.to_json())


def finish(box: Box, tmp_path: Path) -> PipelineCheck:
    lease = leased(box)
    answer = deliver(box, lease, judged(lease, tmp_path))
    assert answer.status_code == 200, answer.content
    return PipelineCheck.objects.get(pk=lease.check)


def whys() -> list[str]:
    release = Release.objects.get(name="r1")
    devices = Device.objects.select_related("profile")
    return [m.why for m in selectors.missing_artifacts(release, devices)]


# The offer


def test_a_check_is_offered_by_the_goal_and_a_device_has_one_turn_of_either_kind(
    box: Box,
    check: PipelineCheck,
    artifact: Artifact,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    assert services.offer_builds(busy=()) == []
    assert says(box, may_build=False) is None
    assert services.offer_checks(busy=()) == []
    says(box)
    assert services.offer_checks(busy=[box.device_id]) == []
    with django_capture_on_commit_callbacks(execute=True):
        turn = offered(box)
    offer = says(box)
    assert offer is not None
    assert (offer.turn, offer.check, offer.runtime) == (turn.pk, check.pk, "onnxruntime")
    assert offer.download_bytes > 2 * artifact.length
    Build.objects.create(
        version=artifact.version,
        profile=artifact.profile,
        number=2,
        state=BuildState.QUEUED,
        created_at=clock.now(),
    )
    assert services.offer_builds(busy=()) == []


def test_another_device_than_the_builder_is_preferred_and_waited_for_not_for_ever(
    box: Box, line: Line, check: PipelineCheck
) -> None:
    other = make_box(line, "box-2")
    turn = offered(box, other)
    assert turn.device_id == other.device_id  # though box-1 comes first by its name
    other.post(f"checks/{turn.pk}/decline", {"reason": "busy"})
    assert services.offer_checks(busy=()) == []
    long_ago = clock.now() - timedelta(seconds=offers.OTHERS_FIRST_S + 1)
    PipelineCheck.objects.update(created_at=long_ago)
    assert offered(box).device_id == box.device_id


def test_the_builder_judges_at_once_where_there_is_no_other_device(
    box: Box, check: PipelineCheck
) -> None:
    assert offered(box).device_id == box.device_id


# The lease


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


# The outcome


def test_a_true_outcome_names_the_device_and_waits_for_a_person(
    box: Box, check: PipelineCheck, tmp_path: Path, somebody: Somebody, sent: list[tuple[str, str]]
) -> None:
    lease = leased(box)
    outcome = judged(lease, tmp_path)
    answers = [deliver(box, lease, outcome) for _ in range(2)]  # the first answer was lost
    assert [(a.status_code, a.json()["state"]) for a in answers] == [(200, "succeeded")] * 2
    check.refresh_from_db()
    certificate = check.certificate
    assert (certificate["judged_by"], certificate["also_built"]) == ("box-1", True)
    assert certificate["built_on"]["device"] == "box-1"
    assert whys() == ["golden cases judged by box-1: waits for approval"]
    sent.clear()
    assert services.sign_waiting_releases() == 0
    with pytest.raises(Conflict, match="waits for approval"):
        services.sign_release(release_id=check.release_id, profile_id=check.profile_id)

    address, body = f"{API}/approve", {"profile": PROFILE, "reason": "It stands in our hall."}
    assert somebody(Role.OPERATOR, name="bob").post(address, body).status_code == 403
    releaser = somebody(Role.RELEASER)
    assert releaser.post(address, {"profile": PROFILE}).status_code == 422
    shown = releaser.post(address, body).json()
    assert (shown["device"], shown["approved_by"]) == ("box-1", "token:ci of ada")
    assert [turn["ended"] for turn in shown["turns"]] == ["finished"]
    assert releaser.post(address, body).status_code == 409
    entry = AuditEntry.objects.get(action="approve", subject="pipeline_check")
    assert (entry.reason, entry.after["device"]) == (body["reason"], "box-1")
    assert services.sign_waiting_releases() == 1
    assert sent == [("server.builds.tasks.sign_release", "sign")]
    services.sign_release(release_id=check.release_id, profile_id=check.profile_id)
    assert whys() == []


def test_a_profile_may_do_without_approval(
    box: Box, check: PipelineCheck, profile: HardwareProfile, tmp_path: Path
) -> None:
    build_on_devices(profile, needs_approval=False)
    assert finish(box, tmp_path).may_be_signed
    assert services.sign_waiting_releases() == 1


Change = Callable[[dict[str, Any]], Any]
FORGED: dict[str, Change] = {
    "other bytes": lambda c: c["models"][catalogue.MODEL].update(artifact_sha256="0" * 64),
    "another runtime": lambda c: c["models"][catalogue.MODEL].update(runtime="openvino"),
    "another precision": lambda c: c["models"][catalogue.MODEL].update(precision="int8"),
    "one more model": lambda c: c["models"].update(more=c["models"][catalogue.MODEL]),
    "another release": lambda c: c.update(counter=9),
    "another pipeline": lambda c: c.update(pipeline_sha256="0" * 64),
    "another scale": lambda c: c.update(mm_per_px=7.0),
    "another budget": lambda c: c.update(budget_ms=9e9),
    "another set": lambda c: c["golden"][0].update(sha256="0" * 64),
    "fewer cases of a set": lambda c: c["golden"][0].update(cases=1),
    "no set": lambda c: c.update(golden=[]),
    "a case left out": lambda c: c["cases"].pop(),
    "a case told twice": lambda c: c["cases"].__setitem__(1, c["cases"][0]),
    "a picture of its own": lambda c: c["cases"][0].update(image="images/mine.png"),
    "another label": lambda c: c["cases"][0].update(expected=None),
    "a verdict that differs": lambda c: c["cases"][0].update(reference="fail", artifact="pass"),
    "another truth": lambda c: c["truth"].update(labelled=99),
    "fewer frames": lambda c: c["latency"].update(frames=1),
}


def test_what_differs_from_the_lease_is_refused_and_the_check_given_back(
    box: Box, check: PipelineCheck, tmp_path: Path
) -> None:
    outcome = judged(leased(box), tmp_path)
    turn = BuildTurn.objects.get()
    assert box.post(f"checks/{turn.pk}/return", {"reason": "later"}).status_code == 204
    for name, change in FORGED.items():
        lease, said = leased(box), outcome.model_dump(mode="json")
        change(said["certificate"])
        answer = deliver(box, lease, PipelineOutcome.model_validate(said))
        assert answer.status_code == 422, name
        assert "The result is not used" in answer.json()["detail"]
        check.refresh_from_db()
        assert check.state == "queued", name
        PipelineCheck.objects.update(attempts=0)
    for changes in ({"cases": 2}, {"certificate": None}):
        lease = leased(box)
        answer = deliver(box, lease, outcome.model_copy(update=changes))
        assert answer.status_code == 422, changes
    ended = set(BuildTurn.objects.values_list("ended", flat=True))
    assert ended == {"returned"}
    assert PipelineCheck.objects.get().certificate is None


def test_a_refusal_must_tell_cases_that_were_named(
    box: Box, check: PipelineCheck, artifact: Artifact, tmp_path: Path
) -> None:
    case = {"golden": "patches 1", "image": "images/faint.png", "reference": "fail"}
    differs: dict[str, Any] = {**case, "artifact": "pass"}
    refused: dict[str, Any] = {"outcome": "refused", "reason": "1 of 3 differ", "cases": 3}
    wrong: tuple[dict[str, Any], ...] = (
        {"cases": 1},
        {"differing_count": 4, "differing": [differs]},
        {"differing_count": 2, "differing": [differs]},
        {"differing_count": 1, "differing": [{**differs, "artifact": "fail"}]},
        {"differing_count": 1, "differing": [{**differs, "image": "images/none.png"}]},
        {"reason": " "},
        {"differing_count": -1},
        {"outcome": "failed", "cases": -1},
        {"outcome": "failed", "cases": 10**18},
        {"outcome": "failed", "differing_count": 1},
    )
    for changes in wrong:
        lease = leased(box)
        said = PipelineOutcome.model_validate({**refused, **changes})
        assert deliver(box, lease, said).status_code == 422, changes
        PipelineCheck.objects.update(attempts=0)
    lease = leased(box)
    told = {"differing_count": 1, "differing": [differs]}
    assert deliver(box, lease, PipelineOutcome.model_validate({**refused, **told})).json() == {
        "state": "refused",
        "reason": "1 of 3 differ",
    }


def test_what_could_not_be_found_out_now_is_given_back_and_what_never_can_is_failed(
    box: Box, check: PipelineCheck
) -> None:
    for is_final, state in ((False, "queued"), (True, "failed")):
        lease = leased(box)
        outcome = PipelineOutcome(outcome="failed", reason="no accelerator", is_final=is_final)
        assert deliver(box, lease, outcome).json()["state"] == state
    check.refresh_from_db()
    assert (check.reason, check.device) == ("no accelerator", box.device)


# A person's doubt


def test_a_device_may_be_doubted_and_two_that_contradict_need_a_person(
    box: Box, line: Line, check: PipelineCheck, tmp_path: Path, somebody: Somebody
) -> None:
    build_on_devices(check.profile, needs_approval=False)
    lease = leased(box)
    refusal = PipelineOutcome(outcome="refused", reason="the artifact fails: NaN", cases=3)
    deliver(box, lease, refusal)
    assert whys() == [f"refused for {PROFILE} by box-1: the artifact fails: NaN"]
    assert services.sign_waiting_releases() == 0
    waive = {"profile": PROFILE, "reason": "I dare say"}
    releaser = somebody(Role.RELEASER)
    assert releaser.post(f"{API}/waive", waive).status_code == 409
    assert somebody(Role.OPERATOR, name="bob").post(API, waive).status_code == 403
    assert releaser.post(API, {"profile": PROFILE}).status_code == 422
    again = releaser.post(API, {"profile": PROFILE, "reason": "Its memory is broken."}).json()
    assert (again["number"], again["state"]) == (2, "queued")
    entry = AuditEntry.objects.get(action="queue", reason="Its memory is broken.")
    assert entry.before == {"state": "refused", "device": "box-1"}

    other = make_box(line, "box-2")
    says(box)
    succeeded = finish(other, tmp_path)
    assert (succeeded.state, succeeded.device) == ("succeeded", other.device)
    assert not PipelineCertificate.model_validate(succeeded.certificate).also_built
    assert succeeded.waits_for_approval  # whatever the profile says: they contradict each other
    assert services.sign_waiting_releases() == 0
    assert releaser.post(f"{API}/approve", waive).status_code == 201
    services.sign_release(release_id=check.release_id, profile_id=check.profile_id)
    doubt = {"profile": PROFILE, "reason": "too late"}
    assert releaser.post(API, doubt).status_code == 409


# Hosts that cannot, and the last resort


@pytest.fixture
def foreign(
    check: PipelineCheck, profile: HardwareProfile, monkeypatch: pytest.MonkeyPatch
) -> PipelineCheck:
    """Asked of hosts that are none of the profile's hardware."""
    monkeypatch.setattr(checker.twins, "problem_of", lambda _: "there is no such board here")
    return check


def test_a_host_that_cannot_sends_a_check_on_and_is_asked_once(
    foreign: PipelineCheck,
    monkeypatch: pytest.MonkeyPatch,
    sent: list[tuple[str, str]],
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    names = ["host-a", "host-a", "host-b"] + ["host-a"] * MAX_PASSES
    for name in names:
        sent.clear()
        with django_capture_on_commit_callbacks(execute=True):
            services.sign_waiting_releases()
        if not sent:
            break
        monkeypatch.setattr(checker.socket, "gethostname", lambda name=name: name)
        with django_capture_on_commit_callbacks(execute=True):
            checker.run_check(foreign.pk)
    foreign.refresh_from_db()
    why = "there is no such board here"
    assert foreign.asked == {"host-a": why, "host-b": why}
    assert (foreign.state, foreign.passes, sent) == ("queued", MAX_PASSES, [])
    with django_capture_on_commit_callbacks(execute=True):
        queue_check(release=foreign.release, profile=foreign.profile, actor="user:ada")
    foreign.refresh_from_db()
    assert (foreign.asked, sent) == ({}, [("server.builds.tasks.check_pipeline", "sign")])


def test_a_host_that_can_takes_what_another_sent_on_and_the_offer_is_withdrawn(
    box: Box, foreign: PipelineCheck, monkeypatch: pytest.MonkeyPatch
) -> None:
    checker.run_check(foreign.pk)
    turn = offered(box)
    monkeypatch.setattr(checker.twins, "problem_of", lambda _: "")
    checker.run_check(foreign.pk)
    foreign.refresh_from_db()
    assert (foreign.state, foreign.device, foreign.needs_approval) == ("succeeded", None, False)
    assert ReleaseTarget.objects.exists()
    assert box.post(f"checks/{turn.pk}/lease", {}).status_code == 409
    assert BuildTurn.objects.get().ended == TurnEnd.WITHDRAWN


def test_a_person_answers_only_where_no_host_can_and_no_device_is_willing(
    box: Box, foreign: PipelineCheck, somebody: Somebody
) -> None:
    says(box, may_build=False)
    releaser, body = somebody(Role.RELEASER), {"profile": PROFILE, "reason": "judged by hand"}
    assert releaser.post(f"{API}/waive", body).status_code == 409  # hosts are still asked
    for _ in range(MAX_PASSES):
        checker.run_check(foreign.pk)
    (why,) = whys()
    assert why.startswith(WAITS)
    assert "set may_build on one of them" in why
    assert "Hosts that sign cannot judge:" in why
    says(box)
    assert "Waits for a device that is online" in whys()[0]
    assert releaser.post(f"{API}/waive", body).status_code == 409
    says(box, may_build=False)
    answer = releaser.post(f"{API}/waive", body)
    assert (answer.status_code, answer.json()["state"]) == (201, "waived")
    assert PipelineCheck.objects.count() == 1
    services.sign_release(release_id=foreign.release_id, profile_id=foreign.profile_id)
    assert whys() == []
