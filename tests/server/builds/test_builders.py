"""Builders say which queues they serve; a build that waits for nobody is shown as such."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from server.accounts.models import Role
from server.builds import command, selectors, services, worker
from server.builds.models import Build, Builder
from server.builds.states import BuildState
from server.fleet.models import HardwareProfile
from server.lib import clock
from server.registry.models import ModelVersion

pytestmark = pytest.mark.django_db
NAME = "builder@twin"


@pytest.fixture
def foreign(profile: HardwareProfile) -> HardwareProfile:
    """Hardware that this machine is not."""
    return HardwareProfile.objects.create(
        name="pi-onnxruntime",
        title="Pi",
        runtime="onnxruntime",
        architecture="aarch64",
        precisions=["fp32"],
    )


def test_a_queue_is_served_while_its_builder_is_heard_of(
    profile: HardwareProfile, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert profile.name in selectors.unserved_queues([profile])
    services.announce_builder(name=NAME, problems={profile: ""})
    services.announce_builder(name=NAME, problems={profile: ""})
    assert selectors.unserved_queues([profile]) == {}
    assert Builder.objects.count() == 1

    later = clock.now() + timedelta(minutes=1)
    monkeypatch.setattr(clock, "now", lambda: later)
    assert profile.name in selectors.unserved_queues([profile])


def test_a_builder_that_is_stopped_serves_no_more(profile: HardwareProfile) -> None:
    services.announce_builder(name=NAME, problems={profile: ""})
    services.forget_builder(name=NAME)
    assert f"{NAME} cannot: it was stopped" in selectors.unserved_queues([profile])[profile.name]


def test_a_queue_that_a_builder_gave_up_is_no_longer_its_own(
    profile: HardwareProfile, foreign: HardwareProfile
) -> None:
    services.announce_builder(name=NAME, problems={profile: "", foreign: "no"})
    services.announce_builder(name=NAME, problems={foreign: "no"})
    assert list(Builder.objects.values_list("profile__name", flat=True)) == [foreign.name]


def test_a_build_for_other_hardware_is_left_for_its_twin(
    version: ModelVersion, foreign: HardwareProfile, caplog: pytest.LogCaptureFixture
) -> None:
    build = services.queue_build(version=version, profile=foreign, actor="test")

    worker.run_build(build.pk)

    build.refresh_from_db()
    assert (build.state, build.attempts) == (BuildState.QUEUED, 0)
    assert "the profile is for aarch64, and this machine is x86_64" in caplog.text


def test_a_builder_refuses_queues_that_it_cannot_serve_before_it_takes_a_message(
    foreign: HardwareProfile, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main([foreign.name, "none"], 1, signs=False) == command.WRONG_USE
    assert "there is no hardware profile 'none'" in capsys.readouterr().err
    assert command.main([foreign.name], 1, signs=True) == command.WRONG_USE
    said = capsys.readouterr().err
    assert "cannot build for pi-onnxruntime: the profile is for aarch64" in said


def test_a_builder_finds_out_what_its_machine_is_a_twin_of(
    profile: HardwareProfile, foreign: HardwareProfile
) -> None:
    profiles, problems = command._choose([])
    assert profile.name in profiles
    assert foreign.name not in profiles
    assert problems == []


def test_the_api_shows_who_waits_for_nobody_and_who_serves_what(
    version: ModelVersion, profile: HardwareProfile, somebody: Any
) -> None:
    build = services.queue_build(version=version, profile=profile, actor="test")
    viewer = somebody(Role.VIEWER)

    waiting = viewer.get(f"/api/v1/builds/{build.pk}").json()
    assert waiting["unserved"].startswith(f"no builder serves the queue of profile {profile.name}")
    assert waiting["queued_at"] == waiting["created_at"]
    services.announce_builder(name=NAME, problems={profile: ""})
    assert viewer.get(f"/api/v1/builds/{build.pk}").json()["unserved"] == ""
    [row] = viewer.get("/api/v1/builders").json()["results"]
    assert (row["name"], row["profile"], row["is_live"]) == (NAME, profile.name, True)


def test_the_age_of_waiting_begins_anew_when_a_build_is_given_back(
    version: ModelVersion, profile: HardwareProfile, monkeypatch: pytest.MonkeyPatch
) -> None:
    queued = services.queue_build(version=version, profile=profile, actor="test")
    leased = services.lease_build(build_id=queued.pk, owner="w1")
    assert leased is not None
    later = clock.now() + timedelta(minutes=1)
    monkeypatch.setattr(clock, "now", lambda: later)
    services.give_up(build=leased, owner="w1", why="Full disk.", is_final=False)
    assert Build.objects.get().queued_at == later
