"""A device that waits for its line's window is neither silent nor late."""

from __future__ import annotations

from datetime import timedelta

import pytest

from inference_core.contract.words import DeploymentPhase
from server.fleet.models import Device
from server.lib import clock
from server.rollouts.models import Deployment, Rollout
from server.rollouts.policy import RolloutPolicy
from tests.server.rollouts.plant import Plant, report, tick

pytestmark = pytest.mark.django_db

P = DeploymentPhase
IMPATIENT = RolloutPolicy(min_soak_s=0, min_frames=1, when_offline="fail", deadline_s=86_400)


@pytest.fixture
def waiting(plant: Plant) -> tuple[Rollout, Device, Deployment]:
    """A device that has been ready, and waiting for its window, for three days."""
    device = plant.enrol("box-1")
    rollout = tick(plant.plan(plant.release("boards-1"), policy=IMPATIENT))
    part = rollout.deployments.get()
    report(part, P.WAITING_WINDOW)
    Deployment.objects.update(created_at=clock.now() - timedelta(days=3))
    return rollout, device, part


def phase_after_a_tick(rollout: Rollout, part: Deployment) -> str:
    tick(rollout)
    part.refresh_from_db()
    return part.phase


def test_the_gate_holds_and_says_what_is_waited_for(
    waiting: tuple[Rollout, Device, Deployment],
) -> None:
    rollout, _, part = waiting
    assert phase_after_a_tick(rollout, part) == P.WAITING_WINDOW
    assert "1 device ready, and waiting for the update window of the line" in rollout.reason
    assert "on the way" not in rollout.reason
    assert rollout.state == "running"


def test_a_restart_within_the_wait_is_not_held_against_it(
    plant: Plant, waiting: tuple[Rollout, Device, Deployment]
) -> None:
    rollout, device, part = waiting
    plant.hear(device, ago_s=4 * 3600)
    assert phase_after_a_tick(rollout, part) == P.WAITING_WINDOW


def test_one_that_fell_silent_for_longer_than_the_deadline_times_out(
    plant: Plant, waiting: tuple[Rollout, Device, Deployment]
) -> None:
    rollout, device, part = waiting
    plant.hear(device, ago_s=25 * 3600)
    assert phase_after_a_tick(rollout, part) == P.TIMED_OUT


def test_a_device_that_is_still_downloading_has_no_such_grace(
    plant: Plant, waiting: tuple[Rollout, Device, Deployment]
) -> None:
    rollout, device, part = waiting
    Deployment.objects.update(phase=P.DOWNLOADING)
    plant.hear(device, ago_s=4 * 3600)
    assert phase_after_a_tick(rollout, part) == P.TIMED_OUT
