"""Update windows: a line says when, its devices are told, and nobody else's are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries, DjangoCaptureOnCommitCallbacks
from rest_framework.test import APIClient

from inference_core.contract.device import Goal
from inference_core.contract.window import UpdateWindow
from server.accounts.models import AuditEntry, Role
from server.fleet.models import Line
from tests.server.box import Box

pytestmark = pytest.mark.django_db

Somebody = Callable[..., APIClient]
LINE = "/api/v1/lines/works/front"
NIGHT = {
    "time_zone": "Europe/Berlin",
    "slots": [{"weekdays": [0, 1, 2, 3, 4], "starts_at": "22:00", "duration_min": 240}],
}


def window_of(box: Box) -> UpdateWindow | None:
    return Goal.model_validate_json(box.poll().content).window


def test_a_window_reaches_the_next_poll_of_the_lines_devices_and_is_lifted_again(
    somebody: Somebody,
    box: Box,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    operator = somebody(Role.OPERATOR, "works")
    assert window_of(box) is None
    for body in (NIGHT, None):
        with django_capture_on_commit_callbacks(execute=True):
            answer = operator.patch(LINE, {"update_window": body})
        assert (answer.status_code, answer.json()["update_window"]) == (200, body)
        assert window_of(box) == (body and UpdateWindow.model_validate(body))
    lifted, made = AuditEntry.objects.filter(action="set_update_window")
    assert (made.before, made.after, lifted.before, lifted.after) == (None, NIGHT, NIGHT, None)


def test_a_change_that_names_no_window_leaves_it(somebody: Somebody, line: Line) -> None:
    operator = somebody(Role.OPERATOR, "works")
    operator.patch(LINE, {"update_window": NIGHT})
    assert operator.patch(LINE, {}).json()["update_window"] == NIGHT
    assert operator.get(LINE).json()["update_window"] == NIGHT


@pytest.mark.parametrize(
    "change",
    [
        {"time_zone": "Europe/Atlantis"},
        {"time_zone": "../../etc/passwd"},
        {"time_zone": "Europe"},
        {"timezone": "UTC"},
        {"slots": []},
        {"slots": [{"starts_at": "24:00", "duration_min": 5}]},
        {"slots": [{"starts_at": "22:00", "duration_min": 5, "until": "23:00"}]},
        {"slots": [{"starts_at": "22:00", "duration_min": 24 * 60 + 1}]},
    ],
)
def test_a_window_that_cannot_be_is_refused(
    somebody: Somebody, line: Line, change: dict[str, Any]
) -> None:
    answer = somebody(Role.ADMIN).patch(LINE, {"update_window": NIGHT | change})
    assert (answer.status_code, answer["Content-Type"]) == (422, "application/problem+json")
    line.refresh_from_db()
    assert line.update_window is None


def test_viewers_and_other_sites_do_not_set_it(
    somebody: Somebody, line: Line, foreign_line: Line
) -> None:
    viewer = somebody(Role.VIEWER, "works", name="vera")
    stranger = somebody(Role.ADMIN, "elsewhere", name="otto")
    body = {"update_window": NIGHT}
    assert viewer.patch(LINE, body).status_code == 403
    assert stranger.patch(LINE, body).status_code == 404
    assert stranger.get(LINE).status_code == 404


def test_an_idle_poll_under_a_window_costs_no_sql(
    somebody: Somebody, box: Box, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    somebody(Role.ADMIN).patch(LINE, {"update_window": NIGHT})
    box.poll()
    with django_assert_num_queries(0):
        assert window_of(box) == UpdateWindow.model_validate(NIGHT)
