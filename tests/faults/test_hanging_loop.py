"""A loop that hangs is not covered up by the threads beside it."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from device_agent.status import read_status
from tests.agent.device import PROFILE, REPOSITORY, Device
from tests.agent.gateway_simulator import Simulator
from tests.agent.signed_repository import SignedRepository
from tests.faults.hanging_agent import BREATHLESS_S

LISTEN_S = 5.0
"""More than two of the turns in which the agent looks after itself."""


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """systemd's end of the notify socket, of a unit with a watchdog."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(0.2)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "60000000")
        monkeypatch.delenv("WATCHDOG_PID", raising=False)
        yield listening


def hear(systemd: socket.socket, listen_s: float) -> list[bytes]:
    """All that it is told for so long."""
    heard, ends_at = [], time.monotonic() + listen_s
    while time.monotonic() < ends_at:
        with contextlib.suppress(TimeoutError):
            heard.append(systemd.recv(1000))
    return heard


def test_an_agent_whose_loop_hangs_feeds_its_watchdog_no_more(
    device: Device, server: Simulator, repository: SignedRepository, systemd: socket.socket
) -> None:
    server.assign(repository.add_release("r1", profile=PROFILE, counter=1))
    command = [sys.executable, "-m", "tests.faults.hanging_agent", str(device.settings())]
    with subprocess.Popen(command, cwd=REPOSITORY) as agent:
        try:
            device.wait(lambda: (s := read_status(device.state)) and s.step == "download", "hangs")
            assert b"WATCHDOG=1" in hear(systemd, BREATHLESS_S + LISTEN_S)
            assert b"WATCHDOG=1" not in hear(systemd, LISTEN_S)
            assert agent.poll() is None  # the threads beside the loop do their work all the same
        finally:
            agent.kill()
