"""A server that errs: late, wrong, garbled or forgetful. The device copes, and nothing is lost."""

from __future__ import annotations

import itertools
import time

import pytest

from inference_core.contract.telemetry import Batch
from tests.agent.device import PROFILE
from tests.agent.gateway_simulator import Answer, Simulator
from tests.agent.signed_repository import SignedRepository
from tests.faults.evidence import assert_all_accounted_for, waiting
from tests.faults.quick import QuickDevice

FAULTS: dict[str, Answer | None] = {
    "500": Answer(500, b"Internal Server Error"),
    "503 without a date": Answer(503, b""),
    "truncated JSON": Answer(200, b'{"generation": 1, "relea'),
    "a login page of some proxy": Answer(200, b"<html>please log in</html>"),
    "another message": Answer(200, b"[1, 2, 3]"),
    "a huge number": Answer(200, b'{"generation": ' + b"9" * 5000 + b"}"),
    "nothing": Answer(200, b""),
    "a connection that ends": None,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_server_that_errs_costs_time_and_nothing_else(
    quick: QuickDevice, server: Simulator, repository: SignedRepository, fault: str
) -> None:
    release = repository.add_release("r1", profile=PROFILE, counter=1)
    deployment = server.assign(release)
    quick.switch_on()
    quick.wait(lambda: deployment.terminal_reports, "ended")
    server.interferes = lambda _path, _answer: FAULTS[fault]
    child, polls = quick.children(), len(server.reports)
    quick.wait(lambda: len(server.reports) > polls + 2, "asking again")
    newer = server.assign(repository.add_release("r2", profile=PROFILE, counter=2))
    server.interferes = lambda _path, answer: answer
    assert quick.is_on
    assert quick.children() == child
    quick.wait(lambda: newer.terminal_reports, "updated after all")
    quick.switch_off()
    assert len(deployment.terminal_reports) == len(newer.terminal_reports) == 1
    assert_all_accounted_for(server)


def test_a_server_that_answers_byte_by_byte_is_asked_again_and_inference_goes_on(
    quick: QuickDevice, server: Simulator, repository: SignedRepository
) -> None:
    server.assign(repository.add_release("r1", profile=PROFILE, counter=1))
    quick.switch_on(request_timeout_s=1)
    quick.wait(lambda: quick.current and quick.children(), "running")
    child = quick.children()
    newer = repository.add_release("r2", profile=PROFILE, counter=2)
    server.drips_every_s = 0.3  # so that no single byte is late
    deployment = server.assign(newer)
    polls = len(server.reports)
    quick.wait(lambda: len(server.reports) > polls + 2, "asking again")
    queued = waiting(quick)
    quick.wait(lambda: waiting(quick) > queued + 2, "judging parts, and keeping what it says")
    assert quick.children() == child
    assert "sends less than" in quick.log
    server.drips_every_s = None
    quick.wait(lambda: deployment.terminal_reports, "updated after all")
    quick.wait(lambda: not waiting(quick), "delivered")
    quick.switch_off()
    assert_all_accounted_for(server)


def test_a_server_that_asks_for_patience_is_left_alone_for_so_long(
    quick: QuickDevice, server: Simulator
) -> None:
    asked_at: list[float] = []

    def busy(path: str, answer: Answer) -> Answer:
        if path != "goal":
            return answer
        asked_at.append(time.monotonic())
        return Answer(503, b"", {"Retry-After": "2"})

    quick.switch_on()
    quick.wait(lambda: server.reports, "the first poll")
    server.interferes = busy
    quick.wait(lambda: len(asked_at) >= 3, "asked three times")
    assert all(after - before >= 2 for before, after in itertools.pairwise(asked_at))


def test_a_batch_whose_acknowledgement_was_lost_is_stored_once(
    quick: QuickDevice, server: Simulator
) -> None:
    server.interferes = lambda path, answer: None if path == "telemetry" else answer
    quick.switch_on()
    quick.wait(lambda: len(server.records) >= 3, "records that nobody acknowledged")
    assert waiting(quick) >= 3
    server.interferes = lambda _path, answer: answer
    quick.wait(lambda: not waiting(quick), "delivered")
    quick.switch_off()
    assert_all_accounted_for(server)


def test_a_long_backlog_is_drained_in_order_at_a_pace_and_completely(
    quick: QuickDevice, server: Simulator, repository: SignedRepository
) -> None:
    server.assign(repository.add_release("r1", profile=PROFILE, counter=1))
    server.is_down = False
    quick.switch_on(summary_every_s=0.01, health_every_s=0.01)
    quick.wait(lambda: quick.current and quick.children(), "running")
    batches: list[float] = []

    def note(path: str, answer: Answer) -> Answer:
        if path == "telemetry":
            batches.append(time.monotonic())
        return answer

    server.is_down = True
    server.interferes = note
    quick.pull_the_plug()
    _add_eight_hours(quick)
    quick.switch_on()
    server.is_down = False
    quick.wait(lambda: waiting(quick) < 20, "drained")
    quick.switch_off()
    assert_all_accounted_for(server)
    assert len(server.records) > 2880
    pauses = [after - before for before, after in itertools.pairwise(batches)]
    assert sum(pause < 0.05 for pause in pauses) <= 1  # the pace, of which the first is free


def test_goals_that_go_backwards_are_not_followed(
    quick: QuickDevice, server: Simulator, repository: SignedRepository
) -> None:
    first, second = (repository.add_release(f"r{n}", profile=PROFILE, counter=n) for n in (1, 2))
    server.assign(first)
    older = server.goal
    server.assign(second)
    quick.switch_on()
    quick.wait(lambda: quick.current == second.sha256, "the newer goal")
    server.goal = older
    quick.wait(lambda: "ignoring generation 1 after 2" in quick.log, "noticed")
    assert quick.current == second.sha256


def test_an_outbox_played_back_from_an_old_disk_image_does_no_harm(
    quick: QuickDevice, server: Simulator
) -> None:
    quick.switch_on()
    quick.wait(lambda: len(server.records) >= 3, "records")
    boot, record = server.records[0]
    quick.switch_off()
    before = list(server.records)
    server.telemetry(Batch(boot_id=boot, records=(record,)).to_json())
    assert server.records == before


def _add_eight_hours(quick: QuickDevice) -> None:
    """As many records as 8 h of summaries, one every 10 s, through the agent's own outbox."""
    from device_agent.outbox import Outbox
    from inference_core.contract.telemetry import Health

    outbox = Outbox.open(quick.state / "outbox.sqlite", limit_bytes=1 << 26)
    for _ in range(2880 // 96):
        outbox.append(*(Health(uptime_s=1.0) for _ in range(96)))
    outbox.close()
