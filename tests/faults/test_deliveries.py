"""What the server must be told arrives once, in order, whatever happens on the way."""

from __future__ import annotations

from inference_core.contract.telemetry import Gap
from tests.agent.device import PROFILE, Device
from tests.agent.gateway_simulator import Simulator
from tests.agent.signed_repository import SignedRepository
from tests.faults.evidence import waiting


def test_nothing_is_lost_while_the_server_is_away_and_the_agent_is_killed(
    device: Device, server: Simulator, repository: SignedRepository
) -> None:
    release = repository.add_release("r1", profile=PROFILE, counter=1)
    server.assign(release)
    device.start()
    device.wait(lambda: device.current == release.sha256, "committed")
    server.is_down = True
    device.wait(lambda: waiting(device) > 10, "a backlog")
    frames_child = device.children()
    assert frames_child  # inference does not care
    device.kill()
    kept = waiting(device)
    device.start()
    device.wait(lambda: waiting(device) > kept, "a longer backlog")
    server.is_down = False
    device.wait(lambda: len({boot for boot, _ in server.records}) == 2, "both boots delivered")
    device.stop()
    for boot in {boot for boot, _ in server.records}:
        seqs = [record.seq for known, record in server.records if known == boot]
        assert seqs == list(range(1, len(seqs) + 1))  # all of them, once, in order
    assert device.log.count("the server: lost") == 2  # said once a start, not at every try


def test_the_terminal_report_waits_for_the_server(
    device: Device, server: Simulator, repository: SignedRepository
) -> None:
    release = repository.add_release("r1", profile=PROFILE, counter=1)
    deployment = server.assign(release)
    crashed = device.start(crash_at="before:activate")
    assert crashed.wait(40) == -9
    server.is_down = True
    device.start()
    device.wait(lambda: device.current == release.sha256, "committed without the server")
    assert deployment.terminal_reports == []
    device.kill()
    device.start()
    server.is_down = False
    device.wait(lambda: deployment.terminal_reports, "reported")
    assert [str(r.phase) for r in deployment.terminal_reports] == ["committed"]


def test_an_access_token_that_the_server_no_longer_takes_is_renewed(
    device: Device, server: Simulator
) -> None:
    device.start()
    device.wait(lambda: server.reports, "the first poll")
    server.token_serial += 1
    polls = len(server.reports)
    device.wait(lambda: len(server.reports) > polls, "polling again")
    assert len([path for _, path in server.requests if path == "token"]) >= 2
    assert "lost" not in device.log


def test_a_poison_record_becomes_a_gap_and_the_rest_flows(
    device: Device, server: Simulator, repository: SignedRepository
) -> None:
    server.refuses = lambda record: record.seq == 2 and not isinstance(record.body, Gap)
    device.start()
    device.wait(lambda: len(server.records) >= 4, "records behind the poison")
    assert [record.seq for _, record in server.records][:4] == [1, 2, 3, 4]
    assert server.records[1][1].body == Gap(first_seq=2, last_seq=2, reason="refused")


def test_a_server_restored_from_a_backup_gets_a_gap_for_what_it_forgot(
    device: Device, server: Simulator
) -> None:
    device.start()
    device.wait(lambda: len(server.records) >= 3, "records")
    with server.lock:
        ((boot, _),) = {(boot, 0) for boot, _ in server.records}
        server.records, server.cursors = server.records[:1], {boot: 1}
    device.wait(lambda: len(server.records) >= 3, "records after the restore")
    gap = server.records[1][1].body
    assert isinstance(gap, Gap)
    assert gap.first_seq == 2
    assert server.records[2][1].seq == gap.last_seq + 1
