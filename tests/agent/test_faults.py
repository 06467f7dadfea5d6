"""What goes wrong around a device: the server, the disk, the child. Inference goes on."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys

from inference_core.contract.telemetry import Event, Gap, Health, Summary
from tests.agent.device import PROFILE, REPOSITORY, Device
from tests.agent.gateway_simulator import Simulator
from tests.agent.signed_repository import SignedRepository, digest


def test_summaries_health_and_samples_reach_the_server(
    device: Device, server: Simulator, repository: SignedRepository
) -> None:
    release = repository.add_release("r1", profile=PROFILE, counter=1)
    server.assign(release)
    device.start()
    device.wait(lambda: server.samples, "a sample")
    device.wait(lambda: _bodies(server, Health), "health")
    device.wait(lambda: _bodies(server, Summary), "a summary")
    meta, image = server.samples[0]
    assert digest(image) == meta.sha256
    assert meta.release_sha256 == release.sha256
    assert meta.inclusion_probability == 1  # the first frame of a camera
    summary = _bodies(server, Summary)[0]
    assert summary.frames == sum(summary.verdicts.values())
    assert summary.latency_ms["total"].count == summary.latency_ms["defects"].count
    health = _bodies(server, Health)[0]
    assert health.agent_rss_bytes
    device.wait(lambda: not list((device.state / "spool").glob("*.jpg")), "an empty spool")


def test_nothing_is_lost_while_the_server_is_away_and_the_agent_is_killed(
    device: Device, server: Simulator, repository: SignedRepository
) -> None:
    release = repository.add_release("r1", profile=PROFILE, counter=1)
    server.assign(release)
    device.start()
    device.wait(lambda: device.current == release.sha256, "committed")
    server.is_down = True
    device.wait(lambda: _waiting(device) > 10, "a backlog")
    frames_child = device.children()
    assert frames_child  # inference does not care
    device.kill()
    kept = _waiting(device)
    device.start()
    device.wait(lambda: _waiting(device) > kept, "a longer backlog")
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


def test_a_device_without_a_token_says_where_to_put_one(device: Device, server: Simulator) -> None:
    result = device.once(enrolment_token=None)
    assert result.returncode == 2
    assert "enrolment_token_file" in result.stderr


def test_a_journal_that_takes_nothing_stops_updates_and_not_inference(
    device: Device, server: Simulator, repository: SignedRepository
) -> None:
    release = repository.add_release("r1", profile=PROFILE, counter=1)
    server.assign(release)
    assert device.once().returncode == 0
    device.start()
    device.wait(device.children, "inference")
    blocker = sqlite3.connect(device.state / "journal.sqlite", isolation_level=None)
    blocker.execute("BEGIN EXCLUSIVE")
    running = device.children()
    server.assign(repository.add_release("r2", profile=PROFILE, counter=2))
    device.wait(lambda: "the journal: lost" in device.log, "noticed")
    assert device.children() == running
    blocker.close()
    device.wait(lambda: device.current != release.sha256, "updated after all")


def test_a_corrupt_journal_is_set_aside_and_inference_goes_on(
    device: Device, server: Simulator, repository: SignedRepository
) -> None:
    release = repository.add_release("r1", profile=PROFILE, counter=1)
    server.assign(release)
    assert device.once().returncode == 0
    for path in device.state.glob("journal.sqlite*"):
        path.write_bytes(b"this is no database" * 1000)
    server.reports.clear()
    device.start()
    device.wait(lambda: device.running == release.sha256, "running")
    assert (device.state / "journal.sqlite.broken-1").exists()
    device.wait(lambda: "journal-set-aside" in [e.name for e in _bodies(server, Event)], "told")


def test_a_corrupt_outbox_is_set_aside_and_a_gap_stands_for_it(
    device: Device, server: Simulator
) -> None:
    assert device.once().returncode == 0
    for path in device.state.glob("outbox.sqlite*"):
        path.write_bytes(b"this is no database" * 1000)
    server.records.clear()
    device.start()
    device.wait(lambda: server.records, "records")
    assert server.records[0][1].body == Gap(first_seq=1, last_seq=1, reason="corrupt")


def test_bit_rot_is_caught_at_load_and_the_release_before_runs(
    device: Device, server: Simulator, repository: SignedRepository
) -> None:
    old, new = (repository.add_release(f"r{n}", profile=PROFILE, counter=n) for n in (1, 2))
    for release in (old, new):
        server.assign(release)
        assert device.once().returncode == 0
    blob = device.state / "blobs/sha256" / repository.artifact_of(new).sha256
    blob.write_bytes(blob.read_bytes()[:-1] + b"?")
    polls = len(server.reports)
    device.start()
    device.wait(
        lambda: old.sha256 in [r.running_sha256 for r in server.reports[polls:]], "last good"
    )
    device.wait(lambda: device.running == new.sha256, "brought back")  # fetched anew by itself
    assert digest(blob.read_bytes()) == blob.name


def test_a_child_that_dies_is_started_again(
    device: Device, server: Simulator, repository: SignedRepository
) -> None:
    server.assign(repository.add_release("r1", profile=PROFILE, counter=1))
    device.start()
    device.wait(lambda: device.current and device.children(), "running")
    first = device.children()
    device.kill_children()
    device.wait(lambda: device.children() not in ([], first), "running again")
    device.wait(lambda: {"inference-down", "inference-up"} <= _events(server), "told")


def test_a_disk_without_space_refuses_the_download_and_leaves_nothing(
    device: Device, server: Simulator, repository: SignedRepository
) -> None:
    deployment = server.assign(repository.add_release("r1", profile=PROFILE, counter=1))
    device.once(disk_reserve_bytes=10**18)
    (report,) = deployment.terminal_reports
    assert report.error is not None
    assert (str(report.phase), str(report.error.cause)) == ("failed", "disk_full")
    assert list((device.state / "blobs/partial").iterdir()) == []


def test_a_signal_stops_the_agent_and_its_child(
    device: Device, server: Simulator, repository: SignedRepository
) -> None:
    server.assign(repository.add_release("r1", profile=PROFILE, counter=1))
    device.start()
    device.wait(lambda: device.current and device.children(), "running")
    assert device.stop() == 0
    assert device.children() == []


def test_a_second_agent_on_the_same_folder_is_refused(device: Device, server: Simulator) -> None:
    device.start()
    device.wait(lambda: server.reports, "running")
    second = device.once()
    assert second.returncode == 2
    assert "another agent already works" in second.stderr


def test_status_tells_a_technician_where_the_device_stands(
    device: Device, server: Simulator, repository: SignedRepository
) -> None:
    release = repository.add_release("r1", profile=PROFILE, counter=1)
    server.assign(release)
    command = [sys.executable, "-m", "device_agent", "--config", str(device.settings()), "status"]

    def status(*more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, *more], cwd=REPOSITORY, capture_output=True, text=True, check=False
        )

    device.start()
    device.wait(lambda: release.sha256[:12] in status().stdout, "shown")
    assert json.loads(status("--json").stdout)["is_running"] is True
    device.stop()
    assert status().returncode == 1
    assert "NOT running" in status().stdout


def test_a_device_with_a_wrong_token_says_so_and_keeps_trying(
    device: Device, server: Simulator
) -> None:
    device.start(enrolment_token="not-the-token-that-was-given")
    device.wait(lambda: "unknown or used up" in device.log, "told")
    assert device.stop() == 0


def _bodies(server: Simulator, kind: type) -> list:
    return [record.body for _, record in list(server.records) if isinstance(record.body, kind)]


def _events(server: Simulator) -> set[str]:
    return {event.name for event in _bodies(server, Event)}


def _waiting(device: Device) -> int:
    connection = sqlite3.connect(f"file:{device.state}/outbox.sqlite?mode=ro", uri=True)
    try:
        return connection.execute("SELECT COUNT(*) FROM record").fetchone()[0]
    finally:
        connection.close()
