"""A device's word is doubted; hosts that cannot judge; and a person who answers last."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytest_django import DjangoCaptureOnCommitCallbacks

from inference_core.contract.golden import PipelineCertificate, PipelineOutcome
from server.accounts.models import AuditEntry, Role
from server.builds import services
from server.builds.checks import worker as checker
from server.builds.checks.queueing import queue_check
from server.builds.checks.selectors import MAX_PASSES
from server.builds.models import BuildTurn, PipelineCheck, ReleaseTarget
from server.builds.states import TurnEnd
from server.fleet.models import HardwareProfile, Line
from tests.server.box import Box, make_box
from tests.server.device_gateway.checks.turns import (
    API,
    WAITS,
    Somebody,
    deliver,
    finish,
    leased,
    offered,
    says,
    whys,
)
from tests.server.device_gateway.device_built import PROFILE, build_on_devices

pytestmark = pytest.mark.django_db


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
