from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.core.cache import cache

from server.accounts.models import AuditEntry
from server.builds import dispatch, services, tasks
from server.builds.models import Build
from server.builds.states import MAX_ATTEMPTS, BuildState
from server.fleet.models import Device, HardwareProfile
from server.fleet.states import DeviceState
from server.lib import clock
from server.lib.errors import Conflict, Invalid
from server.lib.models import StateEvent
from server.registry.models import ModelVersion
from tests.server.catalogue import model_version

pytestmark = pytest.mark.django_db


@pytest.fixture
def build(version: ModelVersion, profile: HardwareProfile) -> Build:
    return services.queue_build(version=version, profile=profile, actor="test")


def pass_time(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    moment = clock.now() + timedelta(seconds=seconds)
    monkeypatch.setattr(clock, "now", lambda: moment)


def test_every_version_is_queued_once_for_every_profile_in_use(
    version: ModelVersion, profile: HardwareProfile
) -> None:
    model_version(version.model, "1.0.1", seed=1)

    assert len(services.queue_missing_builds(actor="system")) == 2
    assert services.queue_missing_builds(actor="system") == []
    assert set(Build.objects.values_list("version__version", "profile__name", "state")) == {
        ("1.0.0", profile.name, "queued"),
        ("1.0.1", profile.name, "queued"),
    }


def test_nothing_is_built_for_hardware_that_nobody_has(
    version: ModelVersion, device: Device
) -> None:
    Device.objects.update(state=DeviceState.REVOKED)

    assert services.queue_missing_builds(actor="system") == []


def test_a_message_is_taken_from_the_broker_by_a_worker_of_that_profile(build: Build) -> None:
    dispatch.forget("server.builds.tasks.run_build", build.pk)
    with dispatch.app.connection_for_read() as connection:
        queue = connection.SimpleQueue(dispatch.queue_of(build.profile.name))
        queue.clear()  # what other tests of this process have sent lies there too
        assert services.resend_builds() == 1
        message = queue.get(timeout=10)
        message.ack()
        queue.close()
    assert message.headers["task"] == "server.builds.tasks.run_build"
    assert message.payload[0] == [build.pk]


def test_a_message_goes_to_the_queue_of_the_profile(build: Build, sent: list[Any]) -> None:
    tasks.queue_builds()

    assert sent == [("server.builds.tasks.run_build", (build.pk,), "build.x86-onnxruntime")]


def test_a_lost_message_is_sent_again_but_not_with_every_sweep(
    build: Build, sent: list[Any]
) -> None:
    for _ in range(5):
        tasks.queue_builds()
    assert len(sent) == 1

    cache.clear()  # as after the time that a message is given
    tasks.queue_builds()
    assert len(sent) == 2


def test_a_broker_that_is_away_delays_and_loses_nothing(
    build: Build, monkeypatch: pytest.MonkeyPatch, sent: list[Any]
) -> None:
    with monkeypatch.context() as away:

        def refuse(*_: Any, **__: Any) -> None:
            raise ConnectionRefusedError("no broker")

        away.setattr(dispatch.app, "send_task", refuse)
        tasks.queue_builds()

    tasks.queue_builds()
    assert len(sent) == 1


def test_asking_again_gives_the_same_build(
    build: Build, version: ModelVersion, profile: HardwareProfile
) -> None:
    assert services.queue_build(version=version, profile=profile, actor="test") == build


def test_a_failed_build_can_be_asked_for_again_on_purpose(
    build: Build, version: ModelVersion, profile: HardwareProfile
) -> None:
    leased = services.lease_build(build_id=build.pk, owner="w1")
    assert leased is not None
    services.give_up(build=leased, owner="w1", why="Broken.", is_final=True)

    ask = partial(services.request_build, version=version, profile=profile, actor="test")
    known = ask()
    assert (known.build, known.is_new) == (build, False)
    assert "Build 1 failed: Broken." in known.note.replace(str(build.pk), "1", 1)
    with pytest.raises(Invalid, match="why"):
        ask(again=True, reason=" ")
    again = ask(again=True, reason="the disk was mended")

    assert again.is_new
    assert (again.build.number, again.build.is_again) == (2, True)
    assert (
        AuditEntry.objects.get(subject="build", subject_id=again.build.pk).reason
        == "the disk was mended"
    )
    assert services.queue_missing_builds(actor="system") == []


def test_only_one_worker_gets_a_build(build: Build) -> None:
    assert services.lease_build(build_id=build.pk, owner="w1") is not None
    assert services.lease_build(build_id=build.pk, owner="w2") is None


def test_a_lease_lives_as_long_as_it_is_extended(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    leased = services.lease_build(build_id=build.pk, owner="w1")
    assert leased is not None
    for _ in range(3):
        pass_time(monkeypatch, 50)
        assert services.extend_lease(build=leased, owner="w1", share=0.5)
        assert services.expire_leases() == []
    assert not services.extend_lease(build=leased, owner="w2", share=0.9)


def test_a_killed_worker_loses_nothing(
    build: Build, monkeypatch: pytest.MonkeyPatch, sent: list[Any]
) -> None:
    tasks.queue_builds()
    services.lease_build(build_id=build.pk, owner="w1")
    pass_time(monkeypatch, 120)

    tasks.expire_leases()
    tasks.queue_builds()

    build.refresh_from_db()
    assert build.state == BuildState.QUEUED
    assert len(sent) == 2
    assert services.lease_build(build_id=build.pk, owner="w2") is not None


def test_a_worker_that_was_thought_dead_cannot_use_its_result(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = services.lease_build(build_id=build.pk, owner="w1")
    assert late is not None
    pass_time(monkeypatch, 120)
    services.expire_leases()
    services.lease_build(build_id=build.pk, owner="w2")

    with pytest.raises(Conflict):
        services.give_up(build=late, owner="w1", why="Broken.", is_final=True)
    build.refresh_from_db()
    assert (build.state, build.lease_owner) == (BuildState.LEASED, "w2")


def test_a_build_that_kills_its_workers_is_given_up(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    for attempt in range(MAX_ATTEMPTS):
        assert services.lease_build(build_id=build.pk, owner=f"w{attempt}") is not None
        pass_time(monkeypatch, 120)
        services.expire_leases()

    build.refresh_from_db()
    assert build.state == BuildState.FAILED
    assert "3 attempts" in build.reason
    assert services.lease_build(build_id=build.pk, owner="w4") is None


def test_every_move_leaves_a_trace(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    services.lease_build(build_id=build.pk, owner="w1")
    pass_time(monkeypatch, 120)
    services.expire_leases()

    events = StateEvent.objects.filter(subject="build", subject_id=str(build.pk))
    assert [(event.old, event.new, event.actor) for event in events] == [
        ("queued", "leased", "w1"),
        ("leased", "queued", "system"),
    ]


def test_a_model_that_the_runtime_could_never_take_has_failed_at_once_and_names_the_node(
    version: ModelVersion, profile: HardwareProfile, sent: list[Any]
) -> None:
    why = "ONNX Runtime 1.32.0 has no Odd, which node 'strange' needs."
    version.report["support"] = {
        profile.runtime: {"answer": "no", "why": why, "node": "strange", "operator": "Odd"}
    }
    version.save(update_fields=["report"])
    build = services.queue_build(version=version, profile=profile, actor="test")
    assert (build.state, build.reason) == (BuildState.FAILED, why)
    assert sent == []
    assert services.queue_missing_builds(actor="test") == []


def test_what_is_not_known_of_a_runtime_is_tried(
    version: ModelVersion, profile: HardwareProfile
) -> None:
    version.report["support"] = {profile.runtime: {"answer": "unknown", "why": "Not tried."}}
    version.save(update_fields=["report"])
    build = services.queue_build(version=version, profile=profile, actor="test")
    assert build.state == BuildState.QUEUED
