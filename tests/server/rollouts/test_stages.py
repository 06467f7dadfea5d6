"""How a rollout moves: one promise for each rule of the state machine."""

from __future__ import annotations

from datetime import timedelta

import pytest

from inference_core.contract.words import DeploymentPhase, FailureCause
from server.fleet.states import DeviceState
from server.lib import clock
from server.lib.models import StateEvent
from server.rollouts import gates
from server.rollouts.models import Deployment, Rollout
from server.rollouts.policy import ErrorLimit, RolloutPolicy, StagePlan
from server.rollouts.selectors import evidence_for, goal_of
from server.rollouts.services import pause_rollout, resume_rollout, stop_rollout
from tests.server.rollouts.plant import ACTOR, ONE_THEN_ALL, QUICK, Plant, report, tick

P = DeploymentPhase
PROFILES = ("pi", "x86-openvino", "x86-ort")


def states(rollout: Rollout) -> list[str]:
    return [stage.state for stage in rollout.stages.order_by("index")]


def open_part(rollout: Rollout) -> Deployment:
    return rollout.deployments.filter(phase=P.QUEUED).get()


def quick(**changes: object) -> RolloutPolicy:
    return RolloutPolicy.model_validate(QUICK.model_dump() | changes)


def test_one_device_of_three_profiles_goes_first_and_the_rest_follows(plant: Plant) -> None:
    for profile in PROFILES:
        plant.enrol(f"box-{profile}", profile)
    rollout = tick(plant.plan(plant.release("r1", PROFILES), ONE_THEN_ALL))
    assert (rollout.state, states(rollout)) == ("running", ["open", "waiting"])
    assert rollout.deployments.count() == 1
    plant.commit(open_part(rollout))
    tick(rollout)
    assert states(rollout) == ["passed", "open"]
    for part in rollout.deployments.filter(phase=P.QUEUED):
        plant.commit(part)
    tick(rollout)
    assert (rollout.state, states(rollout)) == ("succeeded", ["passed", "passed"])


def test_an_install_acknowledgement_is_no_success(plant: Plant) -> None:
    device = plant.enrol("box-1")
    rollout = tick(plant.plan(plant.release("r1")))
    part = open_part(rollout)
    report(part, P.COMMITTED)
    plant.judge_frames(device, part.target.sha256, 100)
    tick(rollout, times=3)
    assert rollout.state == "running"
    assert "1 more device must report running the release" in rollout.reason
    plant.hear(device, running="f" * 64)
    tick(rollout)
    assert rollout.state == "running"
    plant.hear(device, running=part.target.sha256)
    assert tick(rollout).state == "succeeded"


def test_no_frames_is_never_a_pass(plant: Plant) -> None:
    plant.enrol("box-1")
    rollout = tick(plant.plan(plant.release("r1")))
    plant.commit(open_part(rollout), frames=4)
    tick(rollout, times=3)
    assert rollout.reason == "held: 6 more frames on the device with the fewest"


def test_it_soaks_from_the_moment_that_the_last_device_settled(plant: Plant) -> None:
    plant.enrol("box-1")
    rollout = tick(plant.plan(plant.release("r1"), policy=quick(min_soak_s=3600)))
    plant.commit(open_part(rollout))
    tick(rollout)
    assert states(rollout) == ["soaking"]
    assert "s more soak" in rollout.reason
    stage = rollout.stages.get()
    stage.soaking_since = clock.now() - timedelta(seconds=3600)
    stage.save()
    assert tick(rollout).state == "succeeded"


def test_a_failing_release_stops_and_leaves_later_stages_untouched(plant: Plant) -> None:
    plant.enrol_many(5)
    plant.run_through(plant.release("good"))
    goals = {device.pk: goal_of(device) for device in plant.group.devices.all()}
    rollout = tick(plant.plan(plant.release("bad"), ONE_THEN_ALL))
    canary = open_part(rollout)
    report(canary, P.PROBATION)
    report(canary, P.ROLLED_BACK, cause=FailureCause.NOT_FINITE)
    tick(rollout, times=2)
    assert (rollout.state, states(rollout)) == ("stopped", ["failed", "waiting"])
    assert rollout.reason == "stage 1 failed: 1 device failed: not_finite ×1"
    assert rollout.deployments.count() == 1
    for device in plant.group.devices.exclude(pk=canary.device_id):
        assert goal_of(device) == goals[device.pk]
    assert goal_of(canary.device).release == goals[canary.device_id].release


def test_a_failure_withdraws_offers_that_were_not_activated(plant: Plant) -> None:
    plant.enrol_many(3)
    rollout = tick(plant.plan(plant.release("bad")))
    failing, loading, running = rollout.deployments.order_by("pk")
    report(loading, P.DOWNLOADING)
    report(running, P.ACTIVATING)
    report(failing, P.ROLLED_BACK, cause=FailureCause.HUNG)
    tick(rollout)
    loading.refresh_from_db()
    running.refresh_from_db()
    assert (loading.phase, running.phase) == (P.REMOVED, P.ACTIVATING)
    assert goal_of(loading.device).release is None
    report(running, P.COMMITTED)
    assert running.phase == P.COMMITTED


def test_all_ended_below_the_threshold_holds_and_does_not_go_on(plant: Plant) -> None:
    plant.enrol_many(4)
    policy = quick(error_limit={"count": 2})
    plans = (StagePlan(devices=2), StagePlan(share=1.0))
    rollout = tick(plant.plan(plant.release("r1"), plans, policy))
    bad, good = rollout.deployments.all()
    report(bad, P.FAILED, cause=FailureCause.DISK_FULL)
    plant.commit(good)
    tick(rollout, times=3)
    assert (rollout.state, states(rollout)) == ("running", ["soaking", "waiting"])
    assert "none is left that could" in rollout.reason


def test_an_empty_stage_holds(plant: Plant) -> None:
    device = plant.enrol("box-1")
    rollout = plant.plan(plant.release("r1"))
    plant.leave(device)
    tick(rollout, times=3)
    assert rollout.state == "running"
    assert "no device to judge" in rollout.reason


def test_who_leaves_the_group_leaves_the_rollout(plant: Plant) -> None:
    stays, leaves = plant.enrol_many(2)
    rollout = tick(plant.plan(plant.release("r1")))
    plant.leave(leaves)
    plant.commit(stays.deployments.get())
    tick(rollout)
    assert leaves.deployments.get().phase == P.REMOVED
    assert goal_of(leaves).release is None
    assert rollout.state == "succeeded"


def test_coming_back_does_not_give_a_second_try(plant: Plant) -> None:
    _, other = plant.enrol_many(2)
    rollout = tick(plant.plan(plant.release("r1")))
    plant.leave(other)
    tick(rollout)
    plant.join(other)
    tick(rollout, times=2)
    assert other.deployments.get().phase == P.REMOVED


def test_a_quarantined_device_is_taken_out(plant: Plant) -> None:
    plant.enrol("box-1")
    device = plant.enrol("box-2")
    rollout = tick(plant.plan(plant.release("r1")))
    device.state = DeviceState.QUARANTINED
    device.save()
    tick(rollout)
    assert device.deployments.get().phase == P.REMOVED


def test_who_joins_enters_the_open_stage_at_its_rate(plant: Plant) -> None:
    plant.enrol_many(4)
    plans = (StagePlan(share=0.25), StagePlan(share=1.0))
    rollout = tick(plant.plan(plant.release("r1"), plans))
    assert rollout.deployments.count() == 1
    for number in range(4):
        plant.enrol(f"late-{number}")
    tick(rollout)
    assert rollout.deployments.count() == 2
    assert rollout.stages.get(index=0).size == 2


def test_a_count_stage_does_not_grow_with_the_group(plant: Plant) -> None:
    plant.enrol_many(2)
    rollout = tick(plant.plan(plant.release("r1"), ONE_THEN_ALL))
    plant.enrol("late")
    tick(rollout, times=2)
    assert rollout.deployments.count() == 1


def test_who_joins_while_the_last_stage_soaks_is_taken_in(plant: Plant) -> None:
    plant.enrol("box-1")
    rollout = tick(plant.plan(plant.release("r1"), policy=quick(min_soak_s=3600)))
    plant.commit(open_part(rollout))
    tick(rollout)
    late = plant.enrol("late")
    tick(rollout)
    assert states(rollout) == ["open"]
    assert late.deployments.get().phase == P.QUEUED


def test_a_profile_without_a_signed_release_holds_and_is_named(plant: Plant) -> None:
    plant.enrol("box-1")
    rollout = tick(plant.plan(plant.release("r1")))
    plant.commit(open_part(rollout))
    late = plant.enrol("late", "pi")
    tick(rollout, times=2)
    assert "1 device without a signed release for the profile" in rollout.reason
    assert rollout.release is not None
    plant.certify(rollout.release, "pi")
    tick(rollout)
    assert late.deployments.get().phase == P.QUEUED


def test_no_more_than_the_allowed_number_is_on_its_way(plant: Plant) -> None:
    plant.enrol_many(6)
    rollout = tick(plant.plan(plant.release("r1"), policy=quick(max_concurrent=2)), times=3)
    assert rollout.deployments.count() == 2
    plant.commit(rollout.deployments.all()[0])
    tick(rollout)
    assert rollout.deployments.count() == 3


def test_failing_and_offline_devices_hold_no_slot(plant: Plant) -> None:
    plant.enrol_many(6)
    policy = quick(max_concurrent=2, error_limit={"count": 6})
    rollout = tick(plant.plan(plant.release("r1"), policy=policy))
    failing, lost = rollout.deployments.all()
    report(failing, P.FAILED, cause=FailureCause.DOWNLOAD)
    plant.hear(lost.device, ago_s=1e6)
    tick(rollout, times=2)
    assert rollout.deployments.filter(phase=P.QUEUED).exclude(pk=lost.pk).count() == 2


def late_device(plant: Plant, **policy: object) -> tuple[Rollout, Deployment]:
    """Four devices of which one is offline past the deadline, the others did well."""
    plant.enrol_many(4)
    rollout = tick(plant.plan(plant.release("r1"), policy=quick(deadline_s=60, **policy)))
    lost, *others = rollout.deployments.order_by("pk")
    for part in others:
        plant.commit(part)
    plant.hear(lost.device, ago_s=1e6)
    Deployment.objects.filter(pk=lost.pk).update(created_at=clock.now() - timedelta(seconds=61))
    tick(rollout, times=2)
    lost.refresh_from_db()
    return rollout, lost


def test_an_offline_device_is_waited_for(plant: Plant) -> None:
    rollout, lost = late_device(plant, when_offline="wait")
    assert (rollout.state, lost.phase) == ("running", P.QUEUED)
    assert "1 device offline (waited for)" in rollout.reason


def test_an_offline_device_is_skipped_within_the_cap(plant: Plant) -> None:
    rollout, lost = late_device(plant, when_offline="skip", max_skip_share=0.25)
    assert (rollout.state, lost.phase) == ("succeeded", P.TIMED_OUT)
    assert goal_of(lost.device).release is None


def test_no_device_is_skipped_beyond_the_cap(plant: Plant) -> None:
    rollout, lost = late_device(plant, when_offline="skip", max_skip_share=0.2)
    assert (rollout.state, lost.phase) == ("running", P.QUEUED)


def test_an_offline_device_counts_as_failed_where_the_policy_says_so(plant: Plant) -> None:
    rollout, lost = late_device(plant, when_offline="fail")
    assert (rollout.state, lost.phase) == ("stopped", P.TIMED_OUT)
    assert "timed_out ×1" in rollout.reason


def test_a_superseded_device_leaves_the_denominator(plant: Plant) -> None:
    plant.enrol_many(2)
    rollout = tick(plant.plan(plant.release("r1")))
    for part in rollout.deployments.all():
        plant.commit(part)
    Rollout.objects.filter(pk=rollout.pk).update(state="paused")
    tick(plant.plan(plant.release("r2")))
    evidence = evidence_for(rollout.stages.get())
    assert (evidence.running, evidence.superseded, evidence.denominator) == (0, 2, 0)


def test_faults_on_frames_stop_a_release_that_installed_well(plant: Plant) -> None:
    device = plant.enrol("box-1")
    rollout = tick(plant.plan(plant.release("r1")))
    part = open_part(rollout)
    plant.commit(part)
    plant.judge_frames(device, part.target.sha256, 40, faults={"not_finite": 3})
    tick(rollout)
    assert rollout.state == "stopped"
    assert "3 model faults in 40 frames: not_finite ×3" in rollout.reason


def test_a_slow_release_is_stopped_against_its_neighbours(plant: Plant) -> None:
    plant.enrol_many(3)
    plant.run_through(plant.release("old"))
    policy = quick(max_p95_ratio=1.1)
    rollout = tick(plant.plan(plant.release("slow"), ONE_THEN_ALL, policy))
    part = open_part(rollout)
    plant.commit(part)
    plant.judge_frames(part.device, part.target.sha256, 40, latency_ms=60)
    tick(rollout)
    assert rollout.state == "stopped"
    assert "times that of the previous release on x86-ort" in rollout.reason


def test_frames_that_an_earlier_release_judged_do_not_count(plant: Plant) -> None:
    plant.enrol("box-1")
    plant.run_through(plant.release("old"))
    rollout = tick(plant.plan(plant.release("new")))
    part = open_part(rollout)
    report(part, P.COMMITTED)
    plant.hear(part.device, part.target.sha256)
    tick(rollout)
    assert rollout.reason == "held: 10 more frames on the device with the fewest"


def test_a_paused_rollout_makes_no_offers_and_devices_on_their_way_finish(plant: Plant) -> None:
    plant.enrol_many(2)
    rollout = tick(plant.plan(plant.release("r1"), policy=quick(max_concurrent=1)))
    pause_rollout(rollout=rollout, actor=ACTOR)
    plant.commit(open_part(rollout))
    tick(rollout, times=2)
    assert (rollout.state, rollout.deployments.count()) == ("paused", 1)
    resume_rollout(rollout=rollout, actor=ACTOR)
    tick(rollout)
    assert rollout.deployments.count() == 2


def test_a_stop_withdraws_what_was_not_activated(plant: Plant) -> None:
    plant.enrol_many(2)
    rollout = tick(plant.plan(plant.release("r1")))
    loading, running = rollout.deployments.order_by("pk")
    report(running, P.PROBATION)
    stop_rollout(rollout=rollout, actor=ACTOR, reason="wrong lighting")
    loading.refresh_from_db()
    running.refresh_from_db()
    assert (loading.phase, running.phase) == (P.REMOVED, P.PROBATION)
    tick(rollout)
    assert (rollout.state, rollout.reason) == ("stopped", "wrong lighting")


def test_a_second_tick_changes_nothing(plant: Plant) -> None:
    plant.enrol_many(3)
    rollout = tick(plant.plan(plant.release("r1"), ONE_THEN_ALL))
    before = list(rollout.deployments.values()), list(rollout.stages.values("state", "size"))
    events = StateEvent.objects.count()
    tick(rollout, times=3)
    assert (
        list(rollout.deployments.values()),
        list(rollout.stages.values("state", "size")),
    ) == before
    assert StateEvent.objects.count() == events


def test_the_stored_evidence_replays_to_the_stored_verdict(plant: Plant) -> None:
    plant.enrol_many(2)
    rollout = tick(plant.plan(plant.release("r1"), policy=quick(max_p95_ms=100)))
    for part in rollout.deployments.all():
        plant.commit(part)
    tick(rollout)
    judgement = rollout.stages.get().judgement
    assert judgement is not None
    assert judgement.verdict.word == "pass"
    assert judgement.evidence.frames == 100
    assert gates.judge(rollout.rules, judgement.evidence) == judgement.verdict


@pytest.mark.parametrize("limit", [ErrorLimit(count=1), ErrorLimit(share=0.4)])
def test_errors_within_the_limit_do_not_stop(plant: Plant, limit: ErrorLimit) -> None:
    plant.enrol_many(4)
    policy = quick(error_limit=limit.model_dump(), min_success_share=0.7)
    rollout = tick(plant.plan(plant.release("r1"), policy=policy))
    bad, *good = rollout.deployments.order_by("pk")
    report(bad, P.ROLLED_BACK, cause=FailureCause.HUNG)
    for part in good:
        plant.commit(part)
    assert tick(rollout).state == "succeeded"
