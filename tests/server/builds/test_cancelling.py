"""A build that nobody wants ends, with who said so and why; of two endings at once, one counts."""

from __future__ import annotations

import threading
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from inference_core.contract.build import BuildOutcome
from server.accounts.models import AuditEntry, Role
from server.builds import services, worker
from server.builds.models import Artifact, Build
from server.builds.states import BuildState
from server.fleet.models import HardwareProfile
from server.lib.errors import Conflict
from server.registry.models import ModelVersion
from tests.server.builds.test_outcomes import outcome_of
from tests.server.builds.test_running import own_children
from tests.server.threads import at_once

pytestmark = pytest.mark.django_db
API = "/api/v1/builds"


@pytest.fixture
def build(version: ModelVersion, profile: HardwareProfile) -> Build:
    return services.queue_build(version=version, profile=profile, actor="test")


def test_a_waiting_build_fails_at_once_with_who_and_why(build: Build, somebody: Any) -> None:
    releaser = somebody(Role.RELEASER)

    answer = releaser.post(f"{API}/{build.pk}/cancel", {"reason": "wrong golden set"})

    assert answer.status_code == 200, answer.json()
    assert answer.json()["state"] == "failed"
    assert answer.json()["reason"] == "cancelled by token:ci of ada: wrong golden set"
    assert services.lease_build(build_id=build.pk, owner="w1") is None
    assert AuditEntry.objects.get(action="cancel").reason == "wrong golden set"
    again = releaser.post(f"{API}/{build.pk}/cancel", {"reason": "twice"})
    assert again.status_code == 409
    assert "ended already" in again.json()["detail"]


def test_it_takes_a_releaser_and_a_reason(build: Build, somebody: Any) -> None:
    address = f"{API}/{build.pk}/cancel"
    assert somebody(Role.OPERATOR).post(address, {"reason": "x"}).status_code == 403
    releaser = somebody(Role.RELEASER, name="eve")
    for body in ({}, {"reason": "  "}, {"reason": "x" * 501}):
        assert releaser.post(address, body).status_code == 422
    assert releaser.post(f"{API}/999999/cancel", {"reason": "x"}).status_code == 404
    build.refresh_from_db()
    assert build.state == BuildState.QUEUED


@pytest.mark.django_db(transaction=True)
def test_the_child_of_a_cancelled_build_is_killed_and_nothing_of_it_is_used(build: Build) -> None:
    working = threading.Thread(target=work, args=[build.pk])
    working.start()
    while not Build.objects.filter(pk=build.pk).exclude(key="").exists():
        assert working.is_alive(), Build.objects.get().reason
        working.join(0.05)

    services.cancel_build(build_id=build.pk, actor="user:ada", reason="not this one")
    working.join(60)

    build.refresh_from_db()
    assert (build.state, build.reason) == (BuildState.FAILED, "cancelled by ada: not this one")
    assert not Artifact.objects.exists()
    assert not [pid for pid in own_children() if "--job" in command_of(pid)]


def work(build_id: int) -> None:
    from django.db import connections

    try:
        worker.run_build(build_id)
    finally:
        connections.close_all()


def command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except FileNotFoundError:
        return ""


@pytest.mark.django_db(transaction=True)
def test_of_a_success_and_a_cancellation_at_once_exactly_one_counts(
    build: Build, tmp_path: Path
) -> None:
    leased = services.lease_build(build_id=build.pk, owner="w1")
    assert leased is not None
    outcome = outcome_of(leased, tmp_path)

    ends = at_once(
        partial(try_to, partial(succeed, leased, outcome, tmp_path)),
        partial(try_to, partial(cancel, build)),
    )

    assert sorted(ends) == [False, True]
    build.refresh_from_db()
    is_made = build.state == BuildState.SUCCEEDED
    assert is_made or build.reason == "cancelled by ada: late"
    assert Artifact.objects.exists() is is_made


def succeed(build: Build, outcome: BuildOutcome, folder: Path) -> None:
    services.record_outcome(build=build, owner="w1", outcome=outcome, folder=folder)


def cancel(build: Build) -> None:
    services.cancel_build(build_id=build.pk, actor="user:ada", reason="late")


def try_to(act: Any) -> bool:
    try:
        act()
    except Conflict:
        return False
    return True
