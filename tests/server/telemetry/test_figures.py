"""Figures that gates and pages read."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from inference_core.contract.telemetry import Gap
from server.accounts.models import Role
from server.fleet.models import Device, Line
from server.lib import clock
from server.telemetry.models import HourSummary
from server.telemetry.selectors import (
    frame_figures,
    frame_figures_by_device,
    gap_in_words,
    latest_health,
    recent_events,
)
from tests.server.box import Box, make_box
from tests.server.telemetry.records import RELEASE, event, gap, health, summary

pytestmark = pytest.mark.django_db


@pytest.fixture
def boxes(box: Box, line: Line) -> list[Box]:
    """Two devices with an hour each."""
    other = make_box(line, "box-2")
    for index, sender in enumerate((box, other)):
        records = [
            summary(1, frames=10, latencies=(10.0,) * 95 + (90.0,) * 5),
            health(2, temperature_c=50.0 + index),
            health(3, temperature_c=60.0 + index),
            event(4),
            gap(5, 6),
        ]
        answer = sender.send_telemetry({"boot_id": str(sender.boot_id), "records": records})
        assert answer.status_code == 200
    return [box, other]


def ids(boxes: list[Box]) -> list[uuid.UUID]:
    return [box.device.pk for box in boxes]


def test_figures_of_several_devices_add_up(boxes: list[Box]) -> None:
    figures = frame_figures(device_ids=ids(boxes), release_sha256=RELEASE)
    assert (figures.frames, figures.passed, figures.failed) == (20, 18, 2)
    assert (figures.lost, figures.faults, figures.fault_count) == (
        {"no_input": 4},
        {"not_finite": 2},
        2,
    )
    assert figures.latency["total"].count == 200
    assert figures.p95_ms == pytest.approx(10.0, rel=0.03)


def test_another_release_or_an_earlier_hour_does_not_count(boxes: list[Box]) -> None:
    assert frame_figures(device_ids=ids(boxes), release_sha256="e" * 64).frames == 0
    hour = datetime(2026, 11, 22, 10, 59, tzinfo=UTC)
    figures = {"device_ids": ids(boxes), "release_sha256": RELEASE}
    assert frame_figures(**figures, since=hour).frames == 20
    assert frame_figures(**figures, since=hour + timedelta(hours=1)).frames == 0
    assert frame_figures(**figures, since=hour).p95_ms is not None


def test_figures_by_device_cost_one_query_for_any_number(
    boxes: list[Box], django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    wanted = ids(boxes)
    with django_assert_num_queries(1):
        figures = frame_figures_by_device(device_ids=wanted, release_sha256=RELEASE)
    assert {device: found.frames for device, found in figures.items()} == dict.fromkeys(wanted, 10)


def test_the_latest_health_is_the_last_that_came(
    boxes: list[Box], django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    wanted = ids(boxes)
    with django_assert_num_queries(1):
        found = latest_health(wanted)
    assert [found[device].temperature_c for device in wanted] == [60.0, 61.0]


def test_recent_events_are_events_and_gaps(boxes: list[Box]) -> None:
    found = recent_events(devices=Device.objects.filter(pk=boxes[0].device_id))
    assert [item.kind for item in found] == ["gap", "event"]


def test_the_api_tells_figures_of_one_device(boxes: list[Box], somebody: object) -> None:
    HourSummary.objects.update(hour=clock.now() - timedelta(hours=2))
    client: APIClient = somebody(Role.VIEWER, "works")  # type: ignore[operator]  # a factory
    address = f"/api/v1/devices/{boxes[0].device_id}/figures"
    body = client.get(address).json()
    assert body["health"]["temperature_c"] == 60.0
    (release,) = body["releases"]
    assert (release["frames"], release["latency_ms"]["total"]["count"]) == (10, 100)
    assert client.get(address, {"hours": 1}).json()["releases"] == []
    assert client.get(address, {"hours": "many"}).status_code == 422


def test_it_refuses_figures_of_another_sites_device(
    boxes: list[Box], foreign_line: Line, somebody: object
) -> None:
    client: APIClient = somebody(Role.ADMIN, "elsewhere")  # type: ignore[operator]  # a factory
    assert client.get(f"/api/v1/devices/{boxes[0].device_id}/figures").status_code == 404


def test_the_api_has_all_that_a_board_tells_of_itself(
    box: Box, somebody: Callable[..., APIClient]
) -> None:
    told = {
        "temperatures_c": {"cpu-thermal": 83.0},
        "power_w": 14.2,
        "gpu_share": 0.9,
        "throttled": True,
        "throttle_reasons": ["under-voltage"],
        "cameras": {"top": "no_input"},
        "child_starts": 3,
    }
    box.send_telemetry({"boot_id": str(box.boot_id), "records": [health(1, **told)]})
    path = f"/api/v1/devices/{box.device_id}/figures"
    found = somebody(Role.VIEWER, "works").get(path).json()["health"]
    assert {name: found[name] for name in told} == told


def test_events_and_gaps_are_listed_in_words_within_the_scope(
    boxes: list[Box], somebody: Callable[..., APIClient], foreign_line: Line
) -> None:
    path = f"/api/v1/devices/{boxes[0].device_id}/events"
    lost, started = somebody(Role.VIEWER, "works", name="vera").get(path).json()["results"]
    assert (lost["kind"], lost["name"]) == ("gap", "gap")
    assert lost["detail"] == "Records 5 to 6 are missing: the disk was full."
    assert (started["kind"], started["name"], started["detail"]) == ("event", "started", "")
    stranger = somebody(Role.ADMIN, "elsewhere", name="otto")
    assert stranger.get(path).status_code == 404


@pytest.mark.parametrize("reason", get_args(Gap.model_fields["reason"].annotation))
def test_every_reason_of_a_gap_has_words(reason: str) -> None:
    words = gap_in_words(Gap.model_validate({"first_seq": 7, "last_seq": 7, "reason": reason}))
    assert words.startswith("Record 7 is missing: ")
