"""Whatever ends while something is built: the build finishes, is tried again, or says why not."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.build_plant import LIMIT_S, Plant, wait
from tests.servers import is_installed

pytestmark = [pytest.mark.postgres, pytest.mark.redis]
OUTBOX_CRASH = """
import os, signal, uuid, django; django.setup()
from django.db import transaction
from server.lib import outbox
outbox._deliver = lambda pk: os.kill(os.getpid(), signal.SIGKILL)
with transaction.atomic():
    outbox.enqueue("goal_changed", {"device_id": str(uuid.uuid4())})
"""
QUEUE_CRASH = """
import os, signal, sys, django; django.setup()
from server.builds import dispatch, services
from server.fleet.models import HardwareProfile
from server.registry.models import ModelVersion
dispatch.send_once = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
services.queue_build(
    version=ModelVersion.objects.get(version=sys.argv[1]),
    profile=HardwareProfile.objects.get(name=sys.argv[2]),
    actor="test",
)
"""


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    assert is_installed("postgres")
    made = Plant(tmp_path_factory.mktemp("plant"))
    try:
        made.start()
        yield made
    finally:
        made.stop()


def test_a_broker_that_restarts_during_a_build_costs_nothing(plant: Plant) -> None:
    build = plant.next_build()
    child = plant.wait_for_child(build)
    os.kill(child, signal.SIGSTOP)
    plant.redis.crash()
    plant.redis.start()
    os.kill(child, signal.SIGCONT)

    assert plant.wait_for_end(build)[:2] == ("succeeded", 1)
    assert plant.artifacts_of(build) == 1
    later = plant.next_build()
    assert plant.wait_for_end(later)[0] == "succeeded", "builders take messages again"
    assert plant.dead() == {}


def test_without_redis_people_are_answered_and_what_they_ask_for_is_built_later(
    plant: Plant,
) -> None:
    plant.redis.crash()
    build = plant.next_build()
    assert plant.call("GET", f"builds/{build}").status_code == 200
    assert plant.page("sign-in/").status_code == 200
    assert plant.build(build)[0] == "queued"
    plant.redis.start()

    assert plant.wait_for_end(build)[:2] == ("succeeded", 1)
    assert plant.dead() == {}


def test_a_build_whose_child_is_killed_is_run_again(plant: Plant) -> None:
    wait(plant.is_served, "a builder that says that it lives")
    build = plant.next_build()
    os.kill(plant.wait_for_child(build), signal.SIGKILL)

    assert plant.wait_for_end(build)[:2] == ("succeeded", 2)
    assert plant.artifacts_of(build) == 1


def test_a_build_that_hangs_is_ended_by_the_hard_limit(plant: Plant) -> None:
    plant.kill("builder")
    plant.start_builder("impatient-builder", LINEWARDEN_BUILD_TIMEOUT_S="20")
    build = plant.next_build()
    child = plant.wait_for_child(build)
    os.kill(child, signal.SIGSTOP)

    state, attempts, reason = plant.wait_for_end(build)

    assert (state, attempts) == ("failed", 1)
    assert "did not end within 20 s" in reason
    assert not Path(f"/proc/{child}").exists()
    plant.kill("impatient-builder")


def test_a_build_whose_host_is_killed_is_run_again_when_its_lease_ends(plant: Plant) -> None:
    build = plant.next_build()
    child = plant.wait_for_child(build)
    os.kill(child, signal.SIGSTOP)
    plant.kill("builder")
    wait(lambda: not Path(f"/proc/{child}").exists(), "the end of its child")

    plant.start_builder("builder")

    assert plant.wait_for_end(build)[:2] == ("succeeded", 2)
    reasons = plant.rows(
        "SELECT reason FROM lib_stateevent WHERE subject='build' AND new='queued'"
        " AND subject_id=%s",
        str(build),
    )
    assert len(reasons) == 1
    assert "was not heard of in time" in reasons[0][0]


def test_a_build_longer_than_the_visibility_timeout_makes_one_artifact(plant: Plant) -> None:
    plant.start_builder("second")
    second = plant.log_of("second")
    wait(lambda: "ready." in second.read_text(), "a second builder")
    build = plant.next_build()
    child = plant.wait_for_child(build)
    os.kill(child, signal.SIGSTOP)
    logs = (second, plant.log_of("builder"))
    again = f"build {build}: not queued any more"
    wait(lambda: any(again in log.read_text() for log in logs), "the message delivered again")
    os.kill(child, signal.SIGCONT)

    assert plant.wait_for_end(build)[:2] == ("succeeded", 1)
    assert plant.artifacts_of(build) == 1
    plant.kill("second")


def test_a_database_that_restarts_during_a_build_costs_an_attempt_at_most(plant: Plant) -> None:
    build = plant.next_build()
    child = plant.wait_for_child(build)
    os.kill(child, signal.SIGSTOP)
    plant.postgres.crash()
    log = plant.log_of("builder")
    wait(lambda: "the lease could not be extended" in log.read_text(), "a builder that noticed")
    assert Path(f"/proc/{child}").exists(), "the child works on without a database"
    plant.postgres.start()
    with contextlib.suppress(ProcessLookupError):  # its lease ended while the database was away
        os.kill(child, signal.SIGCONT)

    state, attempts, _ = plant.wait_for_end(build)
    assert state == "succeeded"
    assert attempts <= 2
    assert plant.artifacts_of(build) == 1


def test_a_database_that_restarts_under_requests_loses_nothing_that_was_acknowledged(
    plant: Plant,
) -> None:
    acknowledged, refused, is_over = [], [], threading.Event()

    def ask() -> None:
        while not is_over.is_set():
            name = f"site-{time.monotonic_ns()}"
            answer = plant.call("POST", "sites", {"name": name, "title": name})
            if answer.ok:
                acknowledged.append(name)
            else:
                refused.append(answer)

    asking = threading.Thread(target=ask)
    asking.start()
    wait(lambda: len(acknowledged) > 20, "requests that are answered")
    plant.postgres.crash()
    wait(lambda: refused, "a request that is refused")
    page = plant.page("models/")
    plant.postgres.start()
    before = len(acknowledged)
    wait(lambda: len(acknowledged) > before + 20, "requests that are answered again")
    is_over.set()
    asking.join(LIMIT_S)

    assert {answer.status_code for answer in refused} == {503}
    assert all(int(answer.headers["Retry-After"]) > 0 for answer in refused)
    assert page.status_code == 503
    assert int(page.headers["Retry-After"]) > 0
    assert "Back in a moment" in page.text
    kept = {name for (name,) in plant.rows("SELECT name FROM fleet_site")}
    assert set(acknowledged) <= kept


def test_what_was_committed_before_a_crash_is_sent_by_the_relay_and_the_sweep(
    plant: Plant,
) -> None:
    wanted = plant.next_request()
    plant.python("-c", OUTBOX_CRASH, status=-signal.SIGKILL)
    plant.python("-c", QUEUE_CRASH, wanted["version"], wanted["profile"], status=-signal.SIGKILL)

    [(build,)] = plant.rows("SELECT max(id) FROM builds_build")
    assert plant.wait_for_end(build)[:2] == ("succeeded", 1)
    wait(lambda: not plant.rows("SELECT 1 FROM lib_outboxmessage"), "an empty outbox")


def test_two_schedules_tick_as_one(plant: Plant) -> None:
    plant.start_schedule("another")
    wait(lambda: "ready." in plant.log_of("another").read_text(), "another schedule")
    builds = [plant.next_build() for _ in range(2)]

    ends = [plant.wait_for_end(build) for build in builds]

    assert [end[:2] for end in ends] == [("succeeded", 1)] * 2
    moves = plant.rows(
        "SELECT subject_id, new, count(*) FROM lib_stateevent WHERE subject='build'"
        " AND subject_id = ANY(%s) GROUP BY subject_id, new",
        [str(build) for build in builds],
    )
    assert {(new, count) for _, new, count in moves} == {("leased", 1), ("succeeded", 1)}
    signed = plant.rows(
        "SELECT path, count(*) FROM trust_signedtarget GROUP BY path HAVING count(*) > 1"
    )
    assert signed == []
