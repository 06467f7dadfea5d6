"""Polls: the idle one is free, and every change is noticed."""

from __future__ import annotations

import shutil
import threading
import time
import uuid
from datetime import timedelta
from pathlib import Path

import pytest
from pytest_django import DjangoAssertNumQueries, DjangoCaptureOnCommitCallbacks, Settings

from inference_core.contract.device import Goal
from inference_core.contract.serve import Camera
from server.fleet import presence
from server.fleet.models import Presence, ReleaseRun
from server.fleet.services import configure_device, revoke_device
from server.lib import clock
from tests.server.box import Box

pytestmark = pytest.mark.django_db

CAMERA = Camera(name="top", address="file:///pictures", sinks=("modbus://plc/1", "jsonl:///log"))


def test_the_first_poll_gets_the_goal_and_is_written_down(box: Box) -> None:
    answer = box.poll(box.report(generation=3, agent_version="0.1"))
    assert answer.status_code == 200
    assert Goal.model_validate_json(answer.content).generation == 0
    row = Presence.objects.get(device=box.device_id)
    assert (row.boot_id, row.generation, row.agent_version) == (box.boot_id, 3, "0.1")


def test_an_idle_poll_costs_no_sql(
    box: Box, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    etag = box.poll()["ETag"]
    with django_assert_num_queries(0):
        answer = box.poll(etag=etag)
    assert answer.status_code == 304
    assert answer["ETag"] == etag
    assert not answer.content


def test_a_device_that_forgot_its_goal_gets_it_without_sql(
    box: Box, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    first = box.poll()
    with django_assert_num_queries(0):
        again = box.poll()
    assert (again.status_code, again.content) == (200, first.content)


def test_the_server_sets_the_pace_with_jitter(box: Box, settings: Settings) -> None:
    paces = {float(box.poll()["Linewarden-Poll"]) for _ in range(20)}
    poll_s = settings.ENV.poll_s
    assert all(0.9 * poll_s - 0.01 <= pace <= 1.1 * poll_s + 0.01 for pace in paces)
    assert len(paces) > 1


@pytest.mark.parametrize(
    "change", [{"running_sha256": "a" * 64}, {"generation": 9}, {"boot_id": uuid.uuid4()}]
)
def test_a_changed_report_is_written_at_once(box: Box, change: dict[str, object]) -> None:
    box.poll()
    message = {"boot_id": box.boot_id} | change
    box.boot_id = message.pop("boot_id")  # type: ignore[assignment]  # a UUID in both cases
    box.poll(box.report(**message))
    row = Presence.objects.get(device=box.device_id)
    for name, value in change.items():
        assert getattr(row, name) == value


def test_polls_tell_what_ran_and_when(box: Box) -> None:
    for sha256 in ("a" * 64, "a" * 64, "b" * 64, None):
        box.poll(box.report(running_sha256=sha256))
    runs = [(run.sha256[0], run.until is None) for run in ReleaseRun.objects.order_by("pk")]
    assert runs == [("a", False), ("b", False)]


def test_a_device_that_runs_something_else_is_looked_at_on_every_poll(box: Box) -> None:
    report = box.report(running_sha256="b" * 64)
    box.poll(report)
    Presence.objects.update(running_sha256="")
    box.poll(report)
    assert Presence.objects.get().running_sha256 == "b" * 64


def test_a_changed_configuration_reaches_the_next_poll(
    box: Box, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    etag = box.poll()["ETag"]
    with django_capture_on_commit_callbacks(execute=True):
        configure_device(device=box.device, cameras=[CAMERA], sample_every_s=4.0, actor="test")
    answer = box.poll(etag=etag)
    assert answer.status_code == 200
    config = Goal.model_validate_json(answer.content).config
    assert (config.cameras, config.sample_every_s) == ((CAMERA,), 4.0)


def test_a_revoked_device_is_turned_away_from_the_warm_path(
    box: Box, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    etag = box.poll()["ETag"]
    with django_capture_on_commit_callbacks(execute=True):
        revoke_device(device=box.device, actor="user:ada", reason="stolen")
    answer = box.poll(etag=etag)
    assert (answer.status_code, answer.json()["code"]) == (403, "revoked")


def test_a_slow_request_cannot_keep_a_goal_that_changed_meanwhile(box: Box) -> None:
    from server.device_gateway import goals

    mark = {"report": "r", "key_mark": "k"}
    device_id = box.device_id
    assert device_id is not None
    slow = goals.look(device_id, **mark)
    goals.drop(device_id)
    goals.keep(device_id, goals.answer_of(Goal(generation=1)), epoch=slow.epoch, **mark)
    assert goals.look(device_id, **mark).answer is None


def test_polls_are_answered_where_the_cache_can_write_nothing(
    box: Box, settings: Settings, tmp_path: Path
) -> None:
    """A full disk must not take a fleet's goals away."""
    settings.CACHES = settings.ENV.model_copy(update={"redis_url": None, "data": tmp_path}).caches()
    assert box.poll().status_code == 200
    shutil.rmtree(tmp_path / "cache")
    (tmp_path / "cache").write_text("in the way, also for root")
    assert [box.poll().status_code for _ in range(2)] == [200, 200]


@pytest.mark.parametrize("report", ["", "{", "[]", '{"boot_id": 1}', "x" * 5000, "[" * 1900])
def test_a_report_that_cannot_be_read_is_refused(box: Box, report: str) -> None:
    assert box.poll(report).status_code == 422


def test_idle_polls_are_written_together(
    box: Box, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    etag = box.poll()["ETag"]
    past = clock.now() - timedelta(hours=1)
    Presence.objects.update(last_seen_at=past)
    box.poll(etag=etag)
    assert Presence.objects.get().last_seen_at == past
    with django_assert_num_queries(1):
        assert presence.flush() == 1
    assert Presence.objects.get().last_seen_at > past
    with django_assert_num_queries(0):
        assert presence.flush() == 0


def test_what_cannot_be_flushed_is_kept(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    from django.db import OperationalError

    etag = box.poll()["ETag"]
    box.poll(etag=etag)

    def broken(_: object) -> None:
        raise OperationalError("the database restarts")

    with monkeypatch.context() as patch:
        patch.setattr(presence, "_write_all", broken)
        with pytest.raises(OperationalError):
            presence.flush()
    assert presence.flush() == 1


@pytest.mark.django_db(transaction=True)
def test_in_a_server_the_first_idle_poll_starts_the_writing(
    box: Box, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence, "FLUSH_S", 0.05)
    settings.PRESENCE_FLUSHES_ITSELF = True
    etag = box.poll()["ETag"]
    past = clock.now() - timedelta(hours=1)
    Presence.objects.update(last_seen_at=past)
    try:
        box.poll(etag=etag)
        deadline = time.monotonic() + 20
        while Presence.objects.get().last_seen_at == past and time.monotonic() < deadline:
            time.sleep(0.02)
        assert Presence.objects.get().last_seen_at > past
    finally:
        presence.stop_flusher()
    assert "presence" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize("generation", [2**63, -(2**63) - 1, 10**200])
def test_a_generation_beyond_all_numbers_is_refused(box: Box, generation: int) -> None:
    report = box.report().replace('"generation":0', f'"generation":{generation}')
    assert box.poll(report).status_code == 422
