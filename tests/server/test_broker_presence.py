"""What the broker says of presence is heard of accepted devices only, and may be said twice."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable

import pytest
from django.db import DatabaseError

from server.broker.connection import device_of
from server.broker.keeper import Job
from server.fleet import presence, selectors
from server.fleet.models import Presence
from server.fleet.selectors import PresenceWord
from server.fleet.services import quarantine_device, revoke_device
from server.lib import clock
from tests.server.box import Box

DEVICE = uuid.UUID("0b0f3a52-5c0b-4b3f-8a7e-2f9b5d1c6e01")


def word(box: Box) -> PresenceWord:
    return selectors.presence(box.device, clock.now())


@pytest.mark.django_db
def test_it_may_be_said_twice_that_a_device_has_gone_or_come(box: Box) -> None:
    box.poll()
    for is_here, expected in ((False, "offline"), (True, "online")):
        for _ in range(2):
            presence.hear({box.device.pk: is_here})
            assert word(box) == expected


@pytest.mark.django_db
@pytest.mark.parametrize("cut_off", [quarantine_device, revoke_device])
def test_a_device_that_is_cut_off_is_not_heard(box: Box, cut_off: Callable[..., None]) -> None:
    box.poll()
    before = Presence.objects.values().get()
    cut_off(device=box.device, actor="test", reason="strange")
    presence.hear({box.device.pk: True})
    presence.hear({box.device.pk: False})
    assert Presence.objects.values().get() == before


@pytest.mark.django_db
def test_a_device_that_never_polled_and_a_stranger_are_not_made_up(box: Box) -> None:
    presence.hear({box.device.pk: True, DEVICE: True})
    assert not Presence.objects.exists()


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "fleet/v1/presence",
        f"fleet/v1/{DEVICE}/doorbell",
        f"fleet/v1/{DEVICE}/presence/more",
        f"fleet/v1/{DEVICE.hex}/presence",
        "fleet/v1/../presence",
    ],
)
def test_other_topics_are_nobodys_presence(topic: str) -> None:
    assert device_of(topic) is None


def test_a_topic_names_its_device() -> None:
    assert device_of(f"fleet/v1/{DEVICE}/presence") == DEVICE


def test_a_job_that_fails_is_told_of_once_and_tried_again(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcomes = iter([DatabaseError("away"), OSError("full"), None, None])

    def work() -> None:
        outcome = next(outcomes)
        if outcome is not None:
            raise outcome

    monkeypatch.setattr("server.broker.keeper.RETRY_S", 0.0)
    job = Job("its folder", work)
    with caplog.at_level(logging.WARNING, "server.broker"):
        for _ in range(4):
            job.turn()
    told = [record.getMessage() for record in caplog.records]
    assert told == [
        "the broker is without its folder; trying again",
        "the broker has its folder again",
    ]
