"""One device's part: reports, conflicts, and the goal that follows from them."""

from __future__ import annotations

from uuid import uuid4

import pytest

from inference_core.contract.device import DeploymentRef, Progress, ProgressReply
from inference_core.contract.words import DeploymentPhase, FailureCause
from server.lib.errors import Conflict, Gone, Invalid, NotFound
from server.lib.models import OutboxMessage, StateEvent
from server.rollouts.models import Deployment
from server.rollouts.selectors import goal_of
from server.rollouts.services import report_progress
from tests.server.rollouts.plant import Plant, report, tick

P = DeploymentPhase


@pytest.fixture
def part(plant: Plant) -> Deployment:
    """An offer to the only device of the group, which ran nothing before."""
    plant.enrol("box-1")
    rollout = tick(plant.plan(plant.release("first")))
    return rollout.deployments.get()


def say(part: Deployment, seq: int, version: int, phase: P, **more: object) -> ProgressReply:
    progress = Progress(seq=seq, expected_version=version, phase=phase, **more)
    return report_progress(device=part.device, deployment_id=part.pk, progress=progress)


def test_a_device_without_any_rollout_has_an_empty_goal(plant: Plant) -> None:
    goal = goal_of(plant.enrol("box-1"))
    assert (goal.generation, goal.release, goal.deployment) == (0, None, None)


def test_an_offer_becomes_the_goal_of_the_device(part: Deployment) -> None:
    goal = goal_of(part.device)
    assert goal.generation == 1
    assert goal.release is not None
    assert goal.release.sha256 == part.target.sha256
    assert goal.deployment == DeploymentRef(id=part.pk, version=0)
    assert goal.probation.model_dump() == part.rollout.rules.probation.model_dump()
    assert OutboxMessage.objects.get().payload == {"device_id": str(part.device_id)}


def test_each_report_is_counted_and_leaves_an_event(part: Deployment) -> None:
    assert say(part, 1, 0, P.ACKNOWLEDGED) == ProgressReply(version=1, seq=1, phase=P.ACKNOWLEDGED)
    assert say(part, 2, 1, P.DOWNLOADING).version == 2
    events = StateEvent.objects.filter(subject="deployment", subject_id=str(part.pk))
    assert [(e.old, e.new, e.actor) for e in events] == [
        ("queued", "acknowledged", "device:box-1"),
        ("acknowledged", "downloading", "device:box-1"),
    ]


def test_the_same_report_again_has_the_same_reply(part: Deployment) -> None:
    first = say(part, 1, 0, P.DOWNLOADING)
    assert say(part, 1, 0, P.DOWNLOADING) == first
    last = say(part, 2, 1, P.COMMITTED, running_sha256=part.target.sha256)
    assert say(part, 2, 1, P.COMMITTED, running_sha256=part.target.sha256) == last


def test_a_stale_report_is_answered_with_the_present_state(part: Deployment) -> None:
    say(part, 1, 0, P.DOWNLOADING)
    with pytest.raises(Conflict) as caught:
        say(part, 2, 0, P.VERIFIED)
    assert caught.value.extra == {"version": 1, "seq": 1, "phase": "downloading"}


def test_a_device_that_lost_its_count_learns_it(part: Deployment) -> None:
    say(part, 1, 0, P.ACKNOWLEDGED)
    with pytest.raises(Conflict) as caught:
        say(part, 1, 0, P.DOWNLOADING)
    assert caught.value.extra["seq"] == 1


def test_a_deployment_never_goes_back(part: Deployment) -> None:
    say(part, 1, 0, P.STAGED)
    with pytest.raises(Conflict, match="does not go back"):
        say(part, 2, 1, P.DOWNLOADING)


def test_a_closed_deployment_takes_no_report(part: Deployment) -> None:
    say(part, 1, 0, P.FAILED)
    with pytest.raises(Gone) as caught:
        say(part, 2, 1, P.COMMITTED)
    assert caught.value.extra == {"version": 1, "seq": 1, "phase": "failed"}


def test_it_refuses_another_devices_deployment(plant: Plant, part: Deployment) -> None:
    stranger = plant.enrol("box-2", joins=False)
    progress = Progress(seq=1, expected_version=0, phase=P.COMMITTED)
    with pytest.raises(NotFound):
        report_progress(device=stranger, deployment_id=part.pk, progress=progress)
    with pytest.raises(NotFound):
        report_progress(device=part.device, deployment_id=uuid4(), progress=progress)
    part.refresh_from_db()
    assert part.phase == P.QUEUED


@pytest.mark.parametrize("phase", [P.QUEUED, P.TIMED_OUT, P.REMOVED])
def test_it_refuses_phases_that_are_the_servers_to_say(part: Deployment, phase: P) -> None:
    say(part, 1, 0, P.ACKNOWLEDGED)
    with pytest.raises(Invalid):
        say(part, 2, 1, phase)


def test_it_refuses_a_commit_of_something_else(part: Deployment) -> None:
    with pytest.raises(Invalid, match="instead of"):
        say(part, 1, 0, P.COMMITTED, running_sha256="0" * 64)


def test_a_commit_keeps_the_goal_and_closes_its_deployment(part: Deployment) -> None:
    say(part, 1, 0, P.COMMITTED)
    goal = goal_of(part.device)
    assert goal.generation == 1
    assert goal.release is not None
    assert goal.deployment is None


@pytest.mark.parametrize("phase", [P.ROLLED_BACK, P.FAILED, P.REJECTED])
def test_a_failure_makes_what_ran_before_the_goal_again(plant: Plant, phase: P) -> None:
    device = plant.enrol("box-1")
    first = plant.run_through(plant.release("first")).deployments.get()
    second = tick(plant.plan(plant.release("second"))).deployments.get()
    before = goal_of(device)
    report(second, phase, cause=FailureCause.HUNG)
    goal = goal_of(device)
    assert goal.generation == before.generation + 1
    assert goal.release is not None
    assert goal.release.sha256 == first.target.sha256
    assert goal.deployment is None
    assert (second.cause, second.detail) == ("hung", "it hung")


def test_a_failed_first_release_leaves_nothing_to_run(part: Deployment) -> None:
    report(part, P.ROLLED_BACK, cause=FailureCause.NOT_FINITE)
    goal = goal_of(part.device)
    assert (goal.generation, goal.release) == (2, None)


def test_a_newer_rollout_supersedes_the_open_deployment(plant: Plant) -> None:
    device = plant.enrol("box-1")
    proven = plant.run_through(plant.release("first")).deployments.get()
    older = tick(plant.plan(plant.release("second"))).deployments.get()
    report(older, P.PROBATION)
    newer = tick(plant.plan(plant.release("third"))).deployments.get()
    older.refresh_from_db()
    assert older.phase == P.SUPERSEDED
    # The second release was never proven: the way back leads to the first.
    assert newer.previous == proven.target
    assert goal_of(device).deployment == DeploymentRef(id=newer.pk, version=0)
    with pytest.raises(Gone):
        say(older, 2, 1, P.COMMITTED)


def test_an_older_rollout_never_takes_a_device_from_a_newer_one(plant: Plant) -> None:
    device = plant.enrol("box-1")
    old = plant.plan(plant.release("old"), start=False)
    new = plant.run_through(plant.release("new"))
    old.state = "scheduled"
    old.save()
    tick(old)
    assert old.deployments.get().phase == P.SUPERSEDED
    goal = goal_of(device)
    assert goal.release is not None
    assert goal.release.sha256 == new.deployments.get().target.sha256
    tick(old, times=3)
    assert old.state == "running"
    assert "no device to judge" in old.reason


def test_the_devices_own_configuration_is_in_its_goal(plant: Plant) -> None:
    device = plant.enrol("box-1")
    device.cameras.create(name="top", address="file:///boards", mm_per_px=0.1)
    config = goal_of(device).config
    assert [camera.name for camera in config.cameras] == ["top"]
    assert config.sample_every_s == device.sample_every_s
