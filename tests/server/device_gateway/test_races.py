"""Promises that hold when two come at the same moment, on a database that commits."""

from __future__ import annotations

from functools import partial

import pytest

from server.fleet.enrolment import issue_enrolment_token
from server.fleet.models import Device, EnrolmentToken, Line
from server.fleet.services import seed_profiles
from server.telemetry.models import HourSummary, TelemetryRecord
from server.trust.services import ensure_repository
from tests.server.box import Box
from tests.server.telemetry.records import event, summary
from tests.server.threads import at_once

pytestmark = pytest.mark.django_db(transaction=True)


def test_of_two_boxes_with_a_one_use_token_one_enters(line: Line) -> None:
    seed_profiles()
    ensure_repository()
    token = issue_enrolment_token(line=line, is_preauthorised=True, actor="test").token
    boxes = [Box("one"), Box("two")]
    answers = at_once(*[partial(box.request_enrolment, token) for box in boxes])
    assert sorted(answer.status_code for answer in answers) == [200, 401]
    assert Device.objects.count() == 1
    assert EnrolmentToken.objects.get().uses_left == 0


def test_two_requests_with_one_serial_make_one_device(line: Line) -> None:
    seed_profiles()
    ensure_repository()
    token = issue_enrolment_token(line=line, uses=2, is_preauthorised=True, actor="test").token
    box = Box()
    answers = at_once(*[partial(box.request_enrolment, token)] * 2)
    assert {answer.status_code for answer in answers} <= {200, 503}
    assert Device.objects.count() == 1
    assert EnrolmentToken.objects.get().uses_left == 1


def test_an_assertion_that_is_sent_twice_at_once_works_once(box: Box) -> None:
    assertion = box.assertion()
    answers = at_once(*[partial(box.request_token, assertion)] * 2)
    assert sorted(answer.status_code for answer in answers) == [200, 401]


def test_the_same_batch_in_parallel_is_stored_once(box: Box) -> None:
    batch = {
        "boot_id": str(box.boot_id),
        "records": [summary(1, frames=10), event(2), summary(3, frames=5)],
    }
    answers = at_once(*[partial(box.send_telemetry, batch)] * 4)
    assert [answer.json() for answer in answers] == [{"acked_seq": 3}] * 4
    assert HourSummary.objects.get().frames == 15
    assert TelemetryRecord.objects.count() == 1


def test_two_boots_that_fill_one_hour_lose_nothing(box: Box) -> None:
    boots = ["5f0c0f0e-0000-4000-8000-00000000000" + digit for digit in "1234"]
    batches = [{"boot_id": boot, "records": [summary(1, frames=10)]} for boot in boots]
    answers = at_once(*[partial(box.send_telemetry, batch) for batch in batches])
    assert {answer.status_code for answer in answers} == {200}
    assert HourSummary.objects.get().frames == 40
