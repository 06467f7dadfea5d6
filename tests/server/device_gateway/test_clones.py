"""Two boxes with one identity, and a device that merely starts again."""

from __future__ import annotations

import copy
import logging
import uuid
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries, DjangoCaptureOnCommitCallbacks
from rest_framework.test import APIClient

from server.accounts.models import AuditEntry, Role
from server.fleet.models import Presence
from server.fleet.services import quarantine_device
from server.lib import clock
from tests.server.box import Box

pytestmark = pytest.mark.django_db


@pytest.fixture
def twin(box: Box) -> Box:
    """Another box with the same identity folder: the same key, and a session of its own."""
    twin = copy.copy(box)
    twin.boot_id, twin.client = uuid.uuid4(), Client()
    twin.log_in()
    return twin


def alarms() -> list[AuditEntry]:
    return list(AuditEntry.objects.filter(action="notice_clone"))


def take_turns(*boxes: Box, rounds: int = 2) -> None:
    for _ in range(rounds):
        for box in boxes:
            assert box.poll().status_code == 200


def test_two_boxes_that_take_turns_are_told_of_once(
    box: Box, twin: Box, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        take_turns(box, twin, rounds=5)
    (alarm,) = alarms()
    assert alarm.subject_id == str(box.device_id)
    assert alarm.after == {"boots": sorted(map(str, (box.boot_id, twin.boot_id)))}
    assert caplog.text.count("Two boxes take turns under this identity") == 1


def test_the_mark_is_in_the_api_and_goes_a_day_after_the_last_turn(
    box: Box, twin: Box, somebody: Callable[..., APIClient]
) -> None:
    viewer, path = somebody(Role.VIEWER, "works"), f"/api/v1/devices/{box.device_id}"
    assert viewer.get(path).json()["is_cloned"] is False
    take_turns(box, twin)
    assert viewer.get(path).json()["is_cloned"] is True
    Presence.objects.update(cloned_at=clock.now() - timedelta(days=1, seconds=1))
    assert viewer.get(path).json()["is_cloned"] is False
    take_turns(box, twin)
    assert len(alarms()) == 2


def test_a_device_that_starts_again_and_again_is_no_clone(box: Box) -> None:
    for _ in range(5):
        box.boot_id = uuid.uuid4()
        take_turns(box)
    assert alarms() == []


def test_a_changed_report_of_the_same_boot_is_no_clone(box: Box) -> None:
    for generation in (1, 2, 1, 2):
        box.poll(box.report(generation=generation))
    assert alarms() == []


def test_a_marked_device_that_is_alone_again_polls_without_sql(
    box: Box, twin: Box, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    take_turns(box, twin)
    etag = box.poll()["ETag"]
    with django_assert_num_queries(0):
        assert box.poll(etag=etag).status_code == 304


def test_a_quarantine_turns_both_away(
    box: Box, twin: Box, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    take_turns(box, twin)
    with django_capture_on_commit_callbacks(execute=True):
        quarantine_device(device=box.device, actor="user:ada", reason="cloned")
    assert {box.poll().status_code, twin.poll().status_code} == {403}
