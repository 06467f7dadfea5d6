"""What people decide: plan, start, stop, roll back."""

from __future__ import annotations

import pytest

from inference_core.contract.words import DeploymentPhase, FailureCause
from server.accounts.models import AuditEntry
from server.lib.errors import Conflict, Invalid
from server.lib.models import StateEvent
from server.rollouts.models import Rollout
from server.rollouts.policy import RolloutPolicy, StagePlan
from server.rollouts.selectors import goal_of
from server.rollouts.services import (
    pause_rollout,
    resume_rollout,
    roll_back_rollout,
    start_rollout,
    stop_rollout,
)
from server.rollouts.tasks import tick_rollouts
from tests.server.rollouts.plant import (
    ACTOR,
    ALL_AT_ONCE,
    ONE_THEN_ALL,
    Plant,
    report,
    tick,
)

P = DeploymentPhase


def running_sha256(plant: Plant) -> set[str | None]:
    goals = [goal_of(device) for device in plant.group.devices.all()]
    return {goal.release.sha256 if goal.release else None for goal in goals}


def test_a_draft_waits_until_somebody_starts_it(plant: Plant) -> None:
    plant.enrol("box-1")
    rollout = plant.plan(plant.release("r1"), start=False)
    assert tick(rollout).state == "draft"
    start_rollout(rollout=rollout, actor=ACTOR)
    assert rollout.state == "scheduled"
    tick_rollouts()
    rollout.refresh_from_db()
    assert (rollout.state, rollout.deployments.count()) == ("running", 1)


def test_a_later_rollout_has_the_higher_epoch(plant: Plant) -> None:
    plant.enrol("box-1")
    release = plant.release("r1")
    assert plant.plan(release).epoch < plant.plan(release).epoch


def test_it_names_the_devices_that_lack_a_certified_artifact(plant: Plant) -> None:
    plant.enrol("good", "x86-ort")
    bad = plant.enrol("bad", "pi")
    with pytest.raises(Invalid, match="1 of 2 devices") as caught:
        plant.plan(plant.release("r1", ("x86-ort",)))
    (missing,) = caught.value.extra["missing"]
    assert (missing["device"], missing["serial"], missing["profile"]) == (str(bad.pk), "bad", "pi")
    assert missing["why"]
    assert not Rollout.objects.exists()


def test_it_refuses_a_group_without_an_accepted_device(plant: Plant) -> None:
    with pytest.raises(Invalid, match="no accepted device"):
        plant.plan(plant.release("r1"))
    device = plant.enrol("box-1")
    device.state = "pending"
    device.save()
    with pytest.raises(Invalid, match="no accepted device"):
        plant.plan(plant.release("r1b"))


@pytest.mark.parametrize(
    "stages", [(), (StagePlan(devices=3), StagePlan(share=1.0)), (StagePlan(share=0.5),)]
)
def test_it_refuses_stages_that_could_never_pass(
    plant: Plant, stages: tuple[StagePlan, ...]
) -> None:
    plant.enrol_many(3)
    with pytest.raises(Invalid):
        plant.plan(plant.release("r1"), stages)


def test_it_refuses_a_minimum_that_a_stage_cannot_reach(plant: Plant) -> None:
    plant.enrol_many(3)
    with pytest.raises(Invalid, match="Stage 1 takes in 1"):
        plant.plan(plant.release("r1"), ONE_THEN_ALL, RolloutPolicy(min_devices=2))


def test_every_act_is_audited_with_actor_and_reason(plant: Plant) -> None:
    plant.enrol("box-1")
    rollout = tick(plant.plan(plant.release("r1")))
    pause_rollout(rollout=rollout, actor=ACTOR, reason="shift change")
    resume_rollout(rollout=rollout, actor=ACTOR)
    stop_rollout(rollout=rollout, actor=ACTOR, reason="scrap rate")
    entries = AuditEntry.objects.filter(subject="rollout", subject_id=str(rollout.pk))
    assert [e.action for e in entries.order_by("id")] == [
        "create",
        "start",
        "pause",
        "resume",
        "stop",
    ]
    last = entries.first()
    assert last is not None
    assert (last.actor, last.reason) == (ACTOR, "scrap rate")
    assert (last.before, last.after) == ({"state": "running"}, {"state": "stopped"})
    events = StateEvent.objects.filter(subject="rollout", subject_id=str(rollout.pk))
    assert [event.new for event in events] == [
        "scheduled",
        "running",
        "paused",
        "running",
        "stopped",
    ]


@pytest.mark.parametrize("reason", ["", "   ", "x" * 2001])
def test_stop_and_roll_back_need_a_reason(plant: Plant, reason: str) -> None:
    plant.enrol("box-1")
    rollout = tick(plant.plan(plant.release("r1")))
    for act in (stop_rollout, roll_back_rollout):
        with pytest.raises(Invalid, match="reason"):
            act(rollout=rollout, actor=ACTOR, reason=reason)
    rollout.refresh_from_db()
    assert rollout.state == "running"


def test_what_has_ended_stays_ended(plant: Plant) -> None:
    plant.enrol("box-1")
    rollout = plant.run_through(plant.release("r1"))
    assert rollout.state == "succeeded"
    for act in (start_rollout, pause_rollout, resume_rollout, stop_rollout):
        with pytest.raises(Conflict):
            act(rollout=rollout, actor=ACTOR, reason="because")
    assert tick(rollout).state == "succeeded"


def test_of_two_who_decide_at_once_one_wins(plant: Plant) -> None:
    plant.enrol("box-1")
    rollout = tick(plant.plan(plant.release("r1")))
    stale = Rollout.objects.get(pk=rollout.pk)
    stop_rollout(rollout=rollout, actor=ACTOR, reason="first")
    with pytest.raises(Conflict, match="no longer running"):
        stop_rollout(rollout=stale, actor=ACTOR, reason="second")
    rollout.refresh_from_db()
    assert rollout.reason == "first"


def test_a_roll_back_brings_every_device_to_what_it_ran_before(plant: Plant) -> None:
    plant.enrol_many(3)
    old = plant.run_through(plant.release("old")).deployments.first()
    assert old is not None
    rollout = plant.run_through(plant.release("new"))
    undo = roll_back_rollout(rollout=rollout, actor=ACTOR, reason="escapes at line 1")
    assert (undo.undoes, undo.release, undo.state) == (rollout, None, "scheduled")
    tick(undo)
    assert running_sha256(plant) == {old.target.sha256}
    for part in undo.deployments.all():
        plant.commit(part)
    assert tick(undo).state == "succeeded"
    rollout.refresh_from_db()
    assert rollout.state == "succeeded"


def test_a_roll_back_on_the_way_ends_the_rollout_and_spares_those_not_reached(
    plant: Plant,
) -> None:
    plant.enrol_many(3)
    old = plant.run_through(plant.release("old")).deployments.first()
    assert old is not None
    rollout = tick(plant.plan(plant.release("new")))
    trying, loading, queued = rollout.deployments.order_by("pk")
    report(trying, P.PROBATION)
    report(loading, P.DOWNLOADING)
    undo = roll_back_rollout(rollout=rollout, actor=ACTOR, reason="wrong release")
    tick(undo)
    rollout.refresh_from_db()
    assert rollout.state == "rolled_back"
    assert [part.device_id for part in undo.deployments.all()] == [trying.device_id]
    assert running_sha256(plant) == {old.target.sha256}
    trying.refresh_from_db()
    assert trying.phase == P.SUPERSEDED
    queued.refresh_from_db()
    assert queued.phase == P.REMOVED


def test_one_box_that_cannot_go_back_does_not_keep_the_others_from_it(plant: Plant) -> None:
    plant.enrol_many(3)
    plant.run_through(plant.release("old"))
    rollout = plant.run_through(plant.release("new"))
    undo = tick(roll_back_rollout(rollout=rollout, actor=ACTOR, reason="escapes"))
    bad, *others = undo.deployments.order_by("pk")
    report(bad, P.FAILED, cause=FailureCause.LOAD_FAILED)
    tick(undo)
    for part in others:
        part.refresh_from_db()
        plant.commit(part)
    tick(undo)
    assert undo.state == "running"
    assert "none is left that could" in undo.reason


def test_a_device_that_has_moved_on_is_not_rolled_back(plant: Plant) -> None:
    moved, stays = plant.enrol_many(2)
    plant.run_through(plant.release("old"))
    rollout = plant.run_through(plant.release("new"))
    undo = roll_back_rollout(rollout=rollout, actor=ACTOR, reason="escapes")
    plant.leave(stays)
    newest = plant.run_through(plant.release("newest"))
    tick(undo)
    goal = goal_of(moved)
    assert goal.release is not None
    assert goal.release.sha256 == newest.deployments.get().target.sha256
    assert undo.deployments.get(device=moved).phase == P.SUPERSEDED
    assert undo.deployments.get(device=stays).phase == P.QUEUED


def test_there_is_no_way_back_from_the_first_release(plant: Plant) -> None:
    plant.enrol("box-1")
    rollout = plant.run_through(plant.release("first"))
    with pytest.raises(Invalid, match="another one to go back to"):
        roll_back_rollout(rollout=rollout, actor=ACTOR, reason="escapes")


def test_a_rollout_is_not_rolled_back_twice_at_once(plant: Plant) -> None:
    plant.enrol("box-1")
    plant.run_through(plant.release("old"))
    rollout = plant.run_through(plant.release("new"))
    roll_back_rollout(rollout=rollout, actor=ACTOR, reason="escapes")
    with pytest.raises(Conflict, match="being rolled back already"):
        roll_back_rollout(rollout=rollout, actor=ACTOR, reason="again")


def test_one_rollout_that_cannot_be_ticked_does_not_stop_the_others(plant: Plant) -> None:
    plant.enrol("box-1")
    healthy = plant.plan(plant.release("r1"), ALL_AT_ONCE)
    broken = plant.plan(plant.release("r2"), ALL_AT_ONCE)
    Rollout.objects.filter(pk=broken.pk).update(policy={"min_devices": "many"})
    tick_rollouts()
    healthy.refresh_from_db()
    assert healthy.state == "running"
