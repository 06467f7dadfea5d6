"""A journal, an outbox or a release that has rotted: set aside, counted, brought back."""

from __future__ import annotations

import sqlite3

from inference_core.contract.telemetry import Event, Gap
from tests.agent.device import PROFILE, Device
from tests.agent.gateway_simulator import Simulator
from tests.agent.signed_repository import SignedRepository, digest
from tests.faults.evidence import bodies


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
    device.wait(lambda: "journal-set-aside" in [e.name for e in bodies(server, Event)], "told")


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
