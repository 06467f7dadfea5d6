"""Progress reports reach the rollout, and only that of the device's own."""

from __future__ import annotations

import uuid

import pytest
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from server.fleet.models import Device, Group, Membership
from server.lib import clock, outbox
from server.rollouts.models import Deployment
from tests.server.box import Box, make_box
from tests.server.rollouts.plant import Plant, tick

pytestmark = pytest.mark.django_db


@pytest.fixture
def part(
    box: Box, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> Deployment:
    """A deployment of the box, offered by a real rollout."""
    plant = Plant("ulm")
    Device.objects.filter(pk=box.device_id).update(profile=plant.profile())
    plant.group = Group.objects.create(name="boxes", title="Boxes")
    Membership.objects.create(group=plant.group, device=box.device, joined_at=clock.now())
    box.poll()
    with django_capture_on_commit_callbacks(execute=True):
        tick(plant.plan(plant.release("boards-1")))
    return Deployment.objects.get(device=box.device_id)


def progress(seq: int, version: int, phase: str) -> dict[str, object]:
    return {"seq": seq, "expected_version": version, "phase": phase}


def test_progress_is_taken_and_a_repeat_gets_the_same_answer(box: Box, part: Deployment) -> None:
    address = f"deployments/{part.pk}"
    first = box.patch(address, progress(1, part.version, "acknowledged"))
    again = box.patch(address, progress(1, part.version, "acknowledged"))
    assert first.status_code == 200
    assert again.json() == first.json()
    assert first.json()["phase"] == "acknowledged"


def test_a_stale_report_gets_the_deployment_as_it_is(box: Box, part: Deployment) -> None:
    address = f"deployments/{part.pk}"
    now = box.patch(address, progress(1, part.version, "acknowledged")).json()
    stale = box.patch(address, progress(2, part.version + 7, "downloading"))
    assert stale.status_code == 409
    assert {name: stale.json()[name] for name in now} == now


def test_a_report_to_an_ended_deployment_is_410(box: Box, part: Deployment) -> None:
    address = f"deployments/{part.pk}"
    ended = box.patch(address, progress(1, part.version, "failed")).json()
    late = box.patch(address, progress(2, ended["version"], "activating"))
    assert late.status_code == 410
    assert late.json()["phase"] == "failed"


def test_the_next_goal_names_the_new_version(box: Box, part: Deployment) -> None:
    before = box.poll().json()["deployment"]["version"]
    box.patch(f"deployments/{part.pk}", progress(1, part.version, "acknowledged"))
    assert box.poll().json()["deployment"]["version"] == before + 1


def test_progress_is_taken_without_redis_and_old_goals_are_void_once_it_is_back(
    box: Box, part: Deployment, request: pytest.FixtureRequest, settings: Settings
) -> None:
    before = box.poll().json()["deployment"]["version"]
    caches = settings.CACHES
    request.getfixturevalue("no_redis")
    answer = box.patch(f"deployments/{part.pk}", progress(1, part.version, "acknowledged"))
    assert answer.status_code == 200

    settings.CACHES = caches
    assert outbox.relay() == 1
    assert box.poll().json()["deployment"]["version"] == before + 1


def test_it_refuses_another_devices_deployment(box: Box, part: Deployment) -> None:
    other = make_box(box.device.line, "box-2")
    answer = other.patch(f"deployments/{part.pk}", progress(1, 0, "acknowledged"))
    assert answer.status_code == 404
    assert box.patch(f"deployments/{uuid.uuid4()}", progress(1, 0, "staged")).status_code == 404
    part.refresh_from_db()
    assert part.seq == 0


def test_a_phase_that_nobody_knows_is_refused(box: Box, part: Deployment) -> None:
    answer = box.patch(f"deployments/{part.pk}", progress(1, 0, "levitating"))
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["path"] == "phase"
