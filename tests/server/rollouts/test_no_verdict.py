"""A lost camera and a hot board say nothing about a release: the rollout waits for a person."""

from __future__ import annotations

import pytest

from inference_core.contract.device import DeploymentRef
from inference_core.contract.words import DeploymentPhase, FailureCause
from server.rollouts.models import Deployment, Rollout
from server.rollouts.selectors import evidence_for, goal_of
from tests.server.rollouts.plant import ONE_THEN_ALL, QUICK, Plant, report, tick

P = DeploymentPhase


def lose_the_camera(part: Deployment) -> None:
    """The device goes back by itself, for want of frames."""
    report(part, P.PROBATION)
    report(part, P.ROLLED_BACK, cause=FailureCause.NO_FRAMES)


def canary(rollout: Rollout) -> Deployment:
    return rollout.deployments.filter(phase=P.QUEUED).get()


def test_a_lost_camera_holds_the_rollout_and_does_not_stop_it(plant: Plant) -> None:
    plant.enrol_many(3)
    rollout = tick(plant.plan(plant.release("r1"), ONE_THEN_ALL))
    lose_the_camera(canary(rollout))
    tick(rollout, times=3)
    assert rollout.state == "running"
    assert "1 device gave no verdict: no_frames ×1; look at its camera" in rollout.reason
    assert rollout.deployments.count() == 1


def test_a_lost_camera_among_many_is_no_failure_and_no_success(plant: Plant) -> None:
    plant.enrol_many(3)
    rollout = tick(plant.plan(plant.release("r1")))
    blind, *seeing = rollout.deployments.order_by("pk")
    lose_the_camera(blind)
    for part in seeing:
        plant.commit(part)
    tick(rollout, times=3)
    assert rollout.state == "running"
    evidence = evidence_for(rollout.stages.get())
    assert (evidence.failed, evidence.inconclusive) == ({}, {"no_frames": 1})


def test_a_network_that_the_release_broke_is_a_failure(plant: Plant) -> None:
    plant.enrol("box-1")
    rollout = tick(plant.plan(plant.release("r1")))
    part = canary(rollout)
    report(part, P.PROBATION)
    report(part, P.ROLLED_BACK, cause=FailureCause.NO_CONTACT)
    assert tick(rollout).state == "stopped"


def test_who_leaves_the_group_to_be_repaired_is_waited_for_no_longer(plant: Plant) -> None:
    plant.enrol_many(3)
    rollout = tick(plant.plan(plant.release("r1")))
    blind, *seeing = rollout.deployments.order_by("pk")
    lose_the_camera(blind)
    for part in seeing:
        plant.commit(part)
    tick(rollout)
    plant.leave(blind.device)
    assert tick(rollout, times=2).state == "succeeded"


def test_a_canary_that_leaves_without_a_verdict_makes_room_for_another(plant: Plant) -> None:
    plant.enrol_many(3)
    rollout = tick(plant.plan(plant.release("r1"), ONE_THEN_ALL))
    blind = canary(rollout)
    lose_the_camera(blind)
    tick(rollout)
    plant.leave(blind.device)
    tick(rollout, times=2)
    assert canary(rollout).device_id != blind.device_id
    assert rollout.deployments.count() == 2


def test_a_canary_that_failed_makes_no_room_by_leaving(plant: Plant) -> None:
    plant.enrol_many(3)
    rollout = tick(plant.plan(plant.release("r1"), ONE_THEN_ALL))
    failing = canary(rollout)
    report(failing, P.ROLLED_BACK, cause=FailureCause.CRASHED)
    plant.leave(failing.device)
    assert tick(rollout, times=2).state == "stopped"


def test_a_repaired_device_is_offered_the_release_by_another_rollout(plant: Plant) -> None:
    device = plant.enrol("box-1")
    release = plant.release("r1")
    held = tick(plant.plan(release))
    lose_the_camera(canary(held))
    tick(held)
    again = tick(plant.plan(release))
    part = canary(again)
    assert goal_of(device).deployment == DeploymentRef(id=part.pk, version=0)
    plant.commit(part)
    assert tick(again, times=2).state == "succeeded"


@pytest.mark.parametrize(("is_throttled", "state"), [(True, "running"), (False, "stopped")])
def test_a_hot_board_that_is_slow_holds_and_a_cool_one_stops(
    plant: Plant, is_throttled: bool, state: str
) -> None:
    device = plant.enrol("box-1")
    policy = QUICK.model_copy(update={"max_p95_ms": 50.0})
    rollout = tick(plant.plan(plant.release("r1"), policy=policy))
    part = canary(rollout)
    plant.commit(part)
    plant.judge_frames(device, part.target.sha256, 50, latency_ms=90.0)
    if is_throttled:
        plant.throttle(device)
    tick(rollout)
    assert rollout.state == state
    assert ("was throttled meanwhile" in rollout.reason) == is_throttled
