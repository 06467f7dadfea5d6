"""A disk that is full, or read-only: inference goes on, nothing is lost without being counted."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from device_agent.database import open_database
from inference_core.contract.release import TargetRef
from tests.agent.device import PROFILE, REPOSITORY, Device
from tests.agent.gateway_simulator import Deployment, Simulator
from tests.agent.signed_repository import SignedRepository
from tests.faults.evidence import assert_all_accounted_for, waiting
from tests.faults.quick import QuickDevice
from tests.faults.small_disk import SmallDisk, may_mount


def test_a_disk_without_room_for_a_download_refuses_it_before_it_begins(
    quick: QuickDevice, small_disk: SmallDisk, server: Simulator, repository: SignedRepository
) -> None:
    old = _run_first_release(quick, server, repository)
    big = repository.add_release("big", profile=PROFILE, counter=2, padding=17_000_000)
    deployment = server.assign(big)
    quick.wait(lambda: deployment.terminal_reports, "ended")
    assert _end(deployment) == ("failed", "disk_full")
    path = repository.target_file(repository.artifact_of(big))
    assert ("GET", f"tuf/{path}") not in server.requests
    assert quick.current == old.sha256
    assert list((quick.state / "blobs/partial").iterdir()) == []


def test_a_disk_that_fills_during_a_download_ends_it_and_the_part_is_removed(
    quick: QuickDevice, small_disk: SmallDisk, server: Simulator, repository: SignedRepository
) -> None:
    old = _run_first_release(quick, server, repository)
    child = quick.children()
    big = repository.add_release("big", profile=PROFILE, counter=2, padding=3_000_000)
    deployment = server.assign(big, rate_cap_bytes_s=1_000_000)
    artifact = repository.artifact_of(big).sha256
    part = quick.state / "blobs/partial" / f"{artifact}.part"
    quick.wait(lambda: part.exists() and part.stat().st_size, "downloading")
    small_disk.fill()
    quick.wait(lambda: not part.exists(), "gave the part up")
    small_disk.clear()
    quick.wait(lambda: deployment.terminal_reports, "ended")
    assert _end(deployment) == ("failed", "disk_full")
    assert quick.current == old.sha256
    assert quick.children() == child


def test_a_full_disk_costs_old_records_of_little_weight_and_each_is_counted(
    quick: QuickDevice, small_disk: SmallDisk, server: Simulator, repository: SignedRepository
) -> None:
    _run_first_release(quick, server, repository)
    child = quick.children()
    server.is_down = True
    quick.wait(lambda: waiting(quick) > 5, "a backlog")
    small_disk.fill()
    quick.wait(lambda: "the outbox: lost" in quick.log, "met the full disk")
    assert quick.is_on
    assert quick.children() == child
    small_disk.clear()
    kept = waiting(quick)
    quick.wait(lambda: waiting(quick) > kept, "keeping records again")
    server.is_down = False
    quick.wait(lambda: waiting(quick) == 0, "delivered")
    quick.switch_off()
    assert_all_accounted_for(server)


def test_a_device_that_starts_with_a_full_disk_judges_parts_all_the_same(
    quick: QuickDevice, small_disk: SmallDisk, server: Simulator, repository: SignedRepository
) -> None:
    release = _run_first_release(quick, server, repository)
    quick.pull_the_plug()
    small_disk.fill()
    server.reports.clear()
    quick.switch_on()
    quick.wait(lambda: quick.running == release.sha256, "running, and told the server")
    small_disk.clear()
    newer = repository.add_release("newer", profile=PROFILE, counter=2)
    deployment = server.assign(newer)
    quick.wait(lambda: quick.current == newer.sha256, "updated once there was room")
    quick.wait(lambda: deployment.terminal_reports, "ended")
    assert _end(deployment) == ("committed", None)
    quick.switch_off()
    assert_all_accounted_for(server)


def test_a_disk_that_turned_read_only_ends_neither_agent_nor_inference_and_status_says_it(
    quick: QuickDevice, small_disk: SmallDisk, server: Simulator, repository: SignedRepository
) -> None:
    release = _run_first_release(quick, server, repository)
    child = quick.children()
    small_disk.break_down()
    server.assign(repository.add_release("newer", profile=PROFILE, counter=2))
    quick.wait(lambda: "the journal: lost" in quick.log, "noticed")
    quick.wait(lambda: "cannot be written" in _status(quick), "said by status")
    assert json.loads(_status(quick, "--json"))["is_running"] is True
    assert quick.children() == child
    assert quick.current == release.sha256


def test_a_device_that_starts_on_a_read_only_disk_judges_parts_all_the_same(
    quick: QuickDevice, small_disk: SmallDisk, server: Simulator, repository: SignedRepository
) -> None:
    release = _run_first_release(quick, server, repository)
    quick.pull_the_plug()
    small_disk.break_down()
    server.reports.clear()
    quick.switch_on()
    quick.wait(lambda: quick.running == release.sha256, "running, and told the server")


_OPENS_ALL_THE_SAME = """
import pathlib, sys
from device_agent.database import open_database
database = open_database(pathlib.Path(sys.argv[1]), "CREATE TABLE IF NOT EXISTS t (a)")
assert len(database.rows("SELECT a FROM t")) == 50, "what the file knew"
"""


def test_an_almost_full_disk_of_small_blocks_does_not_kill_whoever_opens_a_database(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "small"
    folder.mkdir()
    if not may_mount(folder):
        pytest.skip("needs root, and a kernel that lets root mount a small file system")
    with SmallDisk(folder, size_mib=4, block_bytes=1024) as disk:
        path = folder / "x.sqlite"
        database = open_database(path, "CREATE TABLE IF NOT EXISTS t (a)")
        with database.transaction() as connection:
            connection.executemany("INSERT INTO t VALUES (?)", [("x" * 200,)] * 50)
        database.close()
        for leave_kib in range(0, 56, 4):
            disk.fill(leave_bytes=leave_kib << 10)
            command = [sys.executable, "-c", _OPENS_ALL_THE_SAME, str(path)]
            done = subprocess.run(
                command, cwd=REPOSITORY, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, f"{leave_kib} KiB left: {done.returncode}, {done.stderr}"
            disk.clear()


def test_a_reserve_is_left_to_others(
    device: Device, server: Simulator, repository: SignedRepository
) -> None:
    deployment = server.assign(repository.add_release("r1", profile=PROFILE, counter=1))
    device.once(disk_reserve_bytes=10**18)
    assert _end(deployment) == ("failed", "disk_full")
    assert list((device.state / "blobs/partial").iterdir()) == []


def _run_first_release(
    quick: QuickDevice, server: Simulator, repository: SignedRepository
) -> TargetRef:
    release = repository.add_release("first", profile=PROFILE, counter=1)
    deployment = server.assign(release)
    quick.switch_on()
    quick.wait(lambda: deployment.terminal_reports, "ended")
    quick.wait(lambda: quick.running == release.sha256, "running")
    return release


def _end(deployment: Deployment) -> tuple[str, str | None]:
    (report,) = deployment.terminal_reports
    return str(report.phase), report.error and str(report.error.cause)


def _status(device: Device, *more: str) -> str:
    command = [sys.executable, "-m", "device_agent", "--config", str(device.settings()), "status"]
    return subprocess.run(
        [*command, *more], cwd=REPOSITORY, capture_output=True, text=True, check=False
    ).stdout
