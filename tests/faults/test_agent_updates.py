"""Row 31: the agent's own update fails, and the launcher brings the last good agent back."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from device_agent.launcher import INSTALLED, LAUNCHED, START_ANEW, Starts, read_starts
from inference_core import __version__
from inference_core.contract.device import AgentRef
from inference_core.contract.telemetry import Event
from tests.agent.agent_wheel import make_wheel
from tests.agent.device import PROFILE, REPOSITORY, Device
from tests.agent.gateway_simulator import Simulator
from tests.agent.signed_repository import SignedRepository

NEW = "0.2.0"
QUICK = {"agent_proof_s": 0.5, "agent_limit_s": 3}
AT_START = {"device_agent/agent.py": ("        parts.loop.wake()\n", "        {}\n")}


class Service:
    """What systemd does with ``Restart=always``."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self.exits: list[int] = []
        self._is_wanted = True
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._keep, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._is_wanted = False
        self._device.stop()
        if self._thread.is_alive():
            self._thread.join(30)

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()

    def _keep(self) -> None:
        while self._is_wanted:
            self._process = self._device.start(**QUICK)
            self.exits.append(self._process.wait())


@pytest.fixture
def service(device: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        service = Service(device)
        yield service
        service.stop()


def want(server: Simulator, agent: AgentRef) -> None:
    with server.lock:
        generation = server.goal.generation + 1
        server.goal = server.goal.model_copy(update={"generation": generation, "agent": agent})


def starts(device: Device) -> Starts:
    return read_starts(device.state / "agent")


def version(server: Simulator) -> str | None:
    return server.reports[-1].agent_version if server.reports else None


def events(server: Simulator, name: str) -> list[str]:
    bodies = [record.body for _, record in server.records]
    return [body.detail for body in bodies if isinstance(body, Event) and body.name == name]


def spoil(line: str) -> dict[str, tuple[str, str]]:
    return {path: (old, new.format(line)) for path, (old, new) in AT_START.items()}


def begin(device: Device, server: Simulator, repository: SignedRepository) -> str:
    """A box that judges parts with the installed agent; gives the digest of its release."""
    release = repository.add_release("r1", profile=PROFILE, counter=1)
    server.assign(release)
    return release.sha256


def test_a_good_agent_replaces_the_old_one_and_nothing_is_lost(
    device: Device, server: Simulator, repository: SignedRepository
) -> None:
    release = begin(device, server, repository)
    process = device.start(**QUICK)
    device.wait(lambda: device.running == release, "judging parts")
    agent = repository.add_agent(make_wheel(NEW), version=NEW, counter=5)
    want(server, agent)
    device.wait(lambda: version(server) == NEW, "the new agent reports")
    device.wait(lambda: starts(device).is_proven, "it has proven itself")
    device.wait(lambda: device.running == release, "judging parts again")
    assert process.poll() is None  # in a terminal, it is the same process all the time
    assert starts(device).first == agent.target.sha256
    assert len(device.children()) == 1
    assert device.log.count("inference started") == 1  # the first had been a candidate
    assert device.stop() == 0
    for boot in {boot for boot, _ in server.records}:
        seqs = [record.seq for known, record in server.records if known == boot]
        assert seqs == list(range(1, len(seqs) + 1))
    assert events(server, "agent-reverted") == []


def test_the_agent_that_proved_itself_is_what_the_next_start_runs(
    device: Device, server: Simulator, repository: SignedRepository, service: Service
) -> None:
    want(server, repository.add_agent(make_wheel(NEW), version=NEW, counter=5))
    service.start()
    device.wait(lambda: starts(device).first and starts(device).is_proven, "proven")
    assert service.exits == [START_ANEW]
    service.kill()
    before = len(server.reports)
    device.wait(lambda: len(server.reports) > before + 1, "reporting again")
    assert version(server) == NEW
    device.wait(lambda: starts(device).starts == 0, "started well")


def test_one_that_cannot_be_imported_is_refused_by_its_own_check(
    device: Device, server: Simulator, repository: SignedRepository
) -> None:
    broken = {"device_agent/outbox.py": ("import sqlite3\n", "import nothing_of_this_name\n")}
    device.start(**QUICK)
    agent = repository.add_agent(make_wheel(NEW, changes=broken), version=NEW, counter=5)
    want(server, agent)
    device.wait(lambda: events(server, "agent-refused"), "refused")
    assert "nothing_of_this_name" in events(server, "agent-refused")[0]
    assert starts(device).bad == agent.target.sha256
    assert starts(device).first is None
    assert version(server) == __version__
    assert not (device.state / "agent" / agent.target.sha256).exists()


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        pytest.param(spoil("raise SystemExit(9)"), "it did not say why", id="crashes"),
        pytest.param(spoil("time.sleep(3600)"), "it did not say why", id="hangs"),
        pytest.param(
            {"device_agent/exchange.py": ("config.device_url", "'http://127.0.0.1:9'")},
            "cannot reach",
            id="cannot-reach-the-server",
        ),
    ],
)
def test_one_that_fails_after_its_start_is_reverted_after_three_starts(  # noqa: PLR0917 - fixtures
    changes: dict[str, tuple[str, str]],
    why: str,
    device: Device,
    server: Simulator,
    repository: SignedRepository,
    service: Service,
) -> None:
    release = begin(device, server, repository)
    service.start()
    device.wait(lambda: device.running == release, "judging parts")
    agent = repository.add_agent(make_wheel(NEW, changes=changes), version=NEW, counter=5)
    want(server, agent)
    for count in (2, 3, 4):
        device.wait(lambda count=count: len(service.exits) >= count, f"{count} starts have ended")
    device.wait(lambda: events(server, "agent-reverted"), "reverted")
    assert "3 starts have failed" in events(server, "agent-reverted")[0]
    assert why in events(server, "agent-reverted")[0]
    assert len(service.exits) == 1 + 3
    assert service.exits[0] == START_ANEW
    assert starts(device).bad == agent.target.sha256
    assert version(server) == __version__
    device.wait(lambda: device.running == release, "judging parts with the old agent")
    polls = len(server.reports)
    device.wait(lambda: len(server.reports) > polls + 5, "five more polls")
    assert len(service.exits) == 4  # not tried again
    assert not (device.state / "agent" / agent.target.sha256).exists()


def test_what_was_reverted_makes_room_for_the_next_version(
    device: Device, server: Simulator, repository: SignedRepository, service: Service
) -> None:
    service.start()
    bad = make_wheel(NEW, changes=spoil("raise SystemExit(9)"))
    want(server, repository.add_agent(bad, version=NEW, counter=5))
    device.wait(lambda: starts(device).bad, "reverted")
    want(server, repository.add_agent(make_wheel("0.3.0"), version="0.3.0", counter=6))
    device.wait(lambda: version(server) == "0.3.0", "the mended version")
    device.wait(lambda: starts(device).is_proven, "proven")
    assert starts(device).bad is None


@pytest.mark.parametrize(
    "moment",
    ["before:fetch", "after:fetch", "within:unpack", "after:unpack", "before:note", "after:note"],
)
def test_a_power_cut_during_the_update_ends_in_the_old_or_the_new(
    moment: str,
    device: Device,
    server: Simulator,
    repository: SignedRepository,
    service: Service,
) -> None:
    want(server, repository.add_agent(make_wheel(NEW), version=NEW, counter=5))
    crashed = _crash(device, moment)
    assert crashed == -signal.SIGKILL
    service.start()
    device.wait(lambda: version(server) == NEW, "the new agent")
    device.wait(lambda: starts(device).is_proven, "it has proven itself")
    assert {report.agent_version for report in server.reports} <= {__version__, NEW}
    kept = {path.name for path in (device.state / "agent").iterdir()}
    device.wait(lambda: not _litter(device), f"nothing left behind of {kept}")


def test_power_cuts_while_it_proves_itself_count_as_starts(
    device: Device, server: Simulator, repository: SignedRepository, service: Service
) -> None:
    slow = {"device_agent/parts.py": ("hold_s=config.agent_proof_s", "hold_s=3600")}
    wheel = make_wheel(NEW, changes=slow)
    want(server, repository.add_agent(wheel, version=NEW, counter=5))
    service.start()
    for count in (1, 2, 3):
        device.wait(lambda count=count: starts(device).starts == count, f"start {count}")
        service.kill()
    device.wait(lambda: events(server, "agent-reverted"), "reverted")
    device.wait(lambda: version(server) == __version__, "the installed agent")


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("unsigned", "nobody with a trusted key has signed"),
        ("another wheel", "is not the file that the server asks for"),
        ("signed as a release", "signed as release"),
        ("other bytes", "are not the signed ones"),
        ("an old counter", "counter 4"),
    ],
)
def test_a_wheel_that_is_not_signed_for_this_is_refused(
    fault: str, said: str, device: Device, server: Simulator, repository: SignedRepository
) -> None:
    device.start(**QUICK)
    wheel = make_wheel(NEW)
    custom = {"kind": "release"} if fault == "signed as a release" else None
    agent = repository.add_agent(wheel, version=NEW, counter=5, custom=custom)
    if fault == "unsigned":
        path = agent.target.path.replace(NEW, "0.9.9")
        other = agent.target.model_copy(update={"path": path})
        agent = AgentRef(target=other, version="0.9.9")
    elif fault == "another wheel":
        target = agent.target.model_copy(update={"sha256": "0" * 64})
        agent = agent.model_copy(update={"target": target})
    elif fault == "other bytes":
        repository.files[repository.target_file(agent.target)] = wheel[:-1] + b"\1"
    elif fault == "an old counter":
        want(server, agent)
        device.wait(lambda: starts(device).first and starts(device).is_proven, "counter 5 proven")
        agent = repository.add_agent(make_wheel("0.3.0"), version="0.3.0", counter=4)
    runs = starts(device).first
    want(server, agent)
    device.wait(lambda: events(server, "agent-refused"), "refused")
    assert said in events(server, "agent-refused")[0]
    assert starts(device).first == runs


def _crash(device: Device, moment: str) -> int:
    """The installed agent, which kills itself at ``moment`` of the update."""
    marker = f'{{"code": "{device.state}/agent/{INSTALLED}", "command": [], "settings": '
    settings = str(device.settings(**QUICK))
    marker += f'["--config", "{settings}"], "environment": {{}}}}'
    with subprocess.Popen(
        [sys.executable, "-m", "tests.faults.crashing_update", settings, moment],
        cwd=REPOSITORY,
        env={**os.environ, LAUNCHED: marker},
        stderr=subprocess.DEVNULL,
    ) as process:
        return process.wait(60)


def _litter(device: Device) -> list[Any]:
    known = {*starts(device).digests, "starts.json", "partial"}
    return [path for path in (device.state / "agent").iterdir() if path.name not in known]
