"""A box keeps to its arm of an experiment, whoever lost its memory: the box or the server."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest
from pytest_django import DjangoCaptureOnCommitCallbacks
from rest_framework.test import APIClient

from inference_core.contract.device import Goal
from server.accounts.models import AuditEntry, Role
from server.fleet.enrolment import issue_enrolment_token
from server.fleet.models import Device, Line
from server.fleet.services import accept_device, assign_variant, seed_profiles
from server.trust.services import ensure_repository
from tests.server.box import Box

pytestmark = pytest.mark.django_db

Somebody = Callable[..., APIClient]


def token_for(line: Line) -> str:
    return issue_enrolment_token(line=line, is_preauthorised=True, actor="test").token


def variant_of(box: Box) -> str | None:
    return Goal.model_validate_json(box.poll().content).variant


def adoptions() -> list[dict[str, str]]:
    return list(AuditEntry.objects.filter(action="adopt_variant").values_list("after", flat=True))


def test_an_operator_assigns_it_and_the_next_poll_has_it(
    somebody: Somebody,
    box: Box,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    operator, path = somebody(Role.OPERATOR, "works"), f"/api/v1/devices/{box.device_id}"
    assert variant_of(box) is None
    for variant in ("arm-b", None):
        with django_capture_on_commit_callbacks(execute=True):
            answer = operator.patch(path, {"variant": variant})
        assert (answer.status_code, answer.json()["variant"]) == (200, variant or "")
        assert variant_of(box) == variant
    taken_out, put_in = AuditEntry.objects.filter(action="assign_variant")
    assert (put_in.after, taken_out.after) == ({"variant": "arm-b"}, {"variant": ""})
    assert operator.patch(path, {"variant": "Arm B"}).status_code == 422
    assert not AuditEntry.objects.filter(action="configure").exists()


def test_a_new_server_takes_the_devices_word_and_leaves_a_line(line: Line) -> None:
    seed_profiles()
    ensure_repository()
    box = Box()
    box.enrol(token_for(line), variant="arm-b")
    box.log_in()
    assert variant_of(box) == "arm-b"
    assert adoptions() == [{"variant": "arm-b"}]


def test_a_box_that_enrols_again_with_its_key_does_not_change_the_servers_word(
    box: Box, line: Line
) -> None:
    assign_variant(device=box.device, variant="arm-a", actor="test")
    box.enrol(token_for(line), variant="arm-b")
    assert (box.device.variant, adoptions()) == ("arm-a", [])


def test_a_box_that_enrols_again_with_its_key_gives_its_word_where_there_is_none(
    box: Box, line: Line
) -> None:
    box.enrol(token_for(line), variant="arm-b")
    assert (box.device.variant, adoptions()) == ("arm-b", [{"variant": "arm-b"}])


@pytest.mark.parametrize(("here", "then"), [("arm-a", "arm-a"), ("", "arm-b")])
def test_a_new_key_changes_nothing_before_it_is_accepted(
    box: Box, line: Line, here: str, then: str
) -> None:
    assign_variant(device=box.device, variant=here, actor="test")
    renewed = Box()
    answer = renewed.request_enrolment(token_for(line), variant="arm-b")
    assert (answer.status_code, box.device.variant) == (409, here)
    accept_device(device=box.device, actor="user:ada")
    assert (box.device.variant, box.device.pending_variant) == (then, "")
    accepted = AuditEntry.objects.get(action="accept")
    assert accepted.after["variant"] == then


def test_a_device_that_takes_itself_for_another_arm_is_told_of_once(
    somebody: Somebody, box: Box, caplog: pytest.LogCaptureFixture
) -> None:
    Device.objects.update(variant="arm-a")
    with caplog.at_level(logging.INFO, logger="server.fleet.presence"):
        for generation in range(3):
            box.poll(box.report(variant="arm-b", generation=generation))
    assert [r.getMessage() for r in caplog.records] == [
        "box-1 says that it is in arm-b; it is in arm-a here"
    ]
    device = somebody(Role.VIEWER).get(f"/api/v1/devices/{box.device_id}").json()
    assert (device["variant"], device["reported_variant"]) == ("arm-a", "arm-b")
    caplog.clear()
    with caplog.at_level(logging.INFO, logger="server.fleet.presence"):
        for generation in range(3):
            box.poll(box.report(variant="arm-a", generation=generation))
    assert [r.levelname for r in caplog.records] == ["INFO"]


def test_a_device_that_has_not_heard_of_its_arm_yet_is_no_edge(
    box: Box, caplog: pytest.LogCaptureFixture
) -> None:
    Device.objects.update(variant="arm-a")
    with caplog.at_level(logging.INFO, logger="server.fleet.presence"):
        box.poll()
        box.poll(box.report(variant="arm-a"))
    assert not caplog.records
