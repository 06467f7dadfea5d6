"""Two at once: the database decides, and nothing happens twice."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.db import connection

from inference_core.contract.device import Progress
from inference_core.contract.words import DeploymentPhase
from server.lib.errors import DomainError
from server.lib.models import StateEvent
from server.rollouts.models import Deployment, Desired
from server.rollouts.services import report_progress, stop_rollout, tick_rollout
from server.rollouts.states import DEPLOYMENT
from tests.server.rollouts.plant import ACTOR, ALL_AT_ONCE, ONE_THEN_ALL, QUICK, Plant

pytestmark = pytest.mark.django_db(transaction=True)


def at_once(*acts: Callable[[], object]) -> list[object]:
    """Run all acts at the same moment, each on a connection of its own."""
    barrier = Barrier(len(acts))

    def run(act: Callable[[], object]) -> object:
        barrier.wait(timeout=10)
        try:
            return act()
        except DomainError as error:
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(run, acts))


def test_ticks_at_once_offer_each_device_once() -> None:
    plant = Plant()
    plant.enrol_many(8)
    rollout = plant.plan(plant.release("r1"), ALL_AT_ONCE, QUICK)
    at_once(*[lambda: tick_rollout(rollout_id=rollout.pk)] * 6)
    rollout.refresh_from_db()
    assert rollout.state == "running"
    assert rollout.deployments.count() == 8
    assert set(Desired.objects.values_list("generation", flat=True)) == {1}
    started = StateEvent.objects.filter(subject="rollout", new="running")
    assert started.count() == 1


def test_ticks_at_once_pass_a_stage_once() -> None:
    plant = Plant()
    plant.enrol_many(3)
    rollout = plant.plan(plant.release("r1"), ONE_THEN_ALL, QUICK)
    tick_rollout(rollout_id=rollout.pk)
    plant.commit(rollout.deployments.get())
    at_once(*[lambda: tick_rollout(rollout_id=rollout.pk)] * 6)
    assert StateEvent.objects.filter(subject="stage", new="passed").count() == 1
    assert rollout.deployments.count() == 3


def test_of_two_rollouts_on_the_same_devices_the_newer_one_wins() -> None:
    plant = Plant()
    plant.enrol_many(5)
    old = plant.plan(plant.release("old"))
    new = plant.plan(plant.release("new"))
    at_once(*[lambda r=r: tick_rollout(rollout_id=r.pk) for r in (old, new)])
    for rollout in (old, new):
        tick_rollout(rollout_id=rollout.pk)
    assert set(old.deployments.values_list("phase", flat=True)) <= {"superseded"}
    owners = Desired.objects.values_list("deployment__rollout", flat=True)
    assert set(owners) == {new.pk}
    open_parts = Deployment.objects.filter(phase__in=DEPLOYMENT.open)
    assert open_parts.count() == 5


def test_a_report_and_a_stop_at_once_leave_one_ending() -> None:
    plant = Plant()
    device = plant.enrol("box-1")
    rollout = plant.plan(plant.release("r1"))
    tick_rollout(rollout_id=rollout.pk)
    part = rollout.deployments.get()
    rollout.refresh_from_db()
    progress = Progress(seq=1, expected_version=0, phase=DeploymentPhase.FAILED)
    at_once(
        lambda: report_progress(device=device, deployment_id=part.pk, progress=progress),
        lambda: stop_rollout(rollout=rollout, actor=ACTOR, reason="scrap"),
    )
    part.refresh_from_db()
    assert part.phase in ("failed", "removed")
    assert StateEvent.objects.filter(subject="deployment").count() == 1
    desired = Desired.objects.get()
    assert (desired.generation, desired.target, desired.deployment) == (2, None, None)
