"""``make run`` goes on with the data of before, and leaves nothing behind when it ends."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from tests.e2e.conftest import REPOSITORY
from tests.servers import free_port

LIMIT_S = 120.0


@contextmanager
def running(data: Path, port: int, environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """``make run`` until it says that all is running; killed, should a test leave it alive."""
    process = subprocess.Popen(
        [sys.executable, "-m", "server", "run", "--data", str(data), "--port", str(port)],
        cwd=REPOSITORY,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        told = []
        for line in process.stderr:
            told.append(line)
            if "all is running" in line:
                break
        assert process.poll() is None, "".join(told)[-3000:]
        yield process
    finally:
        process.kill()
        process.wait()


def processes_of(data: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            is_ours = process.environ().get("LINEWARDEN_DATA") == str(data)
            if is_ours and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def wait_for_processes(data: Path, is_right: Callable[[int], bool]) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not is_right(len(processes_of(data))) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert is_right(len(processes_of(data)))


@pytest.fixture
def port(outcome: dict[str, Any]) -> int:
    """Another port than the story had: the devices are told."""
    assert outcome["ok"]
    return free_port()


def test_it_goes_on_with_the_data_and_ctrl_c_ends_all_of_it(
    data: Path, port: int, environment: dict[str, str]
) -> None:
    with running(data, port, environment) as process:
        assert requests.get(f"http://127.0.0.1:{port}/sign-in/", timeout=10).ok
        # Web, two workers, three agents, and the inference child that each agent starts.
        wait_for_processes(data, lambda count: count >= 9)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=LIMIT_S) == 0
        assert not processes_of(data)


def test_devices_come_back_to_what_they_ran(
    data: Path, port: int, environment: dict[str, str], outcome: dict[str, Any]
) -> None:
    with running(data, port, environment):
        for device in outcome["devices"]:
            assert _comes_to_run(data, device["serial"], device["expected_digest"], environment)


def _comes_to_run(data: Path, serial: str, digest: str, environment: dict[str, str]) -> bool:
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        status = _status(data, serial, environment)
        if "reached" in status and digest[:12] in status and "NOT running" not in status:
            return True
        time.sleep(0.5)
    return False


def _status(data: Path, serial: str, environment: dict[str, str]) -> str:
    config = data / "devices" / serial / "agent.json"
    command = [sys.executable, "-m", "device_agent", "--config", str(config), "status"]
    return subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False
    ).stdout


def test_a_kill_leaves_no_orphans(data: Path, port: int, environment: dict[str, str]) -> None:
    with running(data, port, environment) as process:
        process.kill()
        process.wait()
        wait_for_processes(data, lambda count: count == 0)
