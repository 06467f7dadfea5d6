"""The screen, on a real terminal; the lines for programs; what systemd is told."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from fcntl import ioctl
from pathlib import Path
from struct import pack
from termios import TIOCSWINSZ

import pytest

from device_agent.log import follow
from device_agent.notify import Systemd
from device_agent.screen import draw
from device_agent.status import (
    CameraStatus,
    Download,
    LastDeployment,
    Status,
    read_status,
    write_status,
)
from inference_core.contract.telemetry import Health
from inference_core.contract.words import DeploymentPhase
from tests.agent.device import PROFILE, REPOSITORY, Device
from tests.agent.gateway_simulator import Simulator
from tests.agent.signed_repository import SignedRepository

ESCAPE = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
NOW = datetime.now(timezone.utc)
FULL = Status(
    at=NOW,
    pid=4711,
    server_url="https://fleet.a-very-long-name-of-a-factory.example.com:8443",
    serial="line-7-box-with-a-long-name",
    device_id="6c0a7c3e-5d1f-4a6b-8e0f-3c1f0d1b2a3c",
    profile="jetson-orin-nano-jp6.2-trt10.3",
    last_contact_at=NOW,
    server_problem="cannot reach https://fleet.example.com: " + "connection refused " * 12,
    push="connected",
    running_sha256="a" * 64,
    running_release="surface-2026.11",
    goal_sha256="b" * 64,
    goal_generation=41,
    step="download",
    step_problem="the disk is full",
    download=Download(path="x/artifacts/" + "c" * 64, done=31_000_000, total=124_000_000),
    cameras=(
        CameraStatus(
            name="top", role="main", address="rtsp://***@10.0.0.5/" + "x" * 90, state="ok"
        ),
        CameraStatus(name="side", role="main", address="v4l2:///dev/video0", state="no_input"),
    ),
    health=Health(
        temperature_c=84.2,
        throttled=True,
        throttle_reasons=("under-voltage",),
        cpu_share=0.41,
        memory_used_share=0.6,
        disk_free_bytes=12_300_000_000,
        power_w=11.25,
    ),
    agent_version="0.2.0",
    agent_sha256="d" * 64,
    is_on_trial=True,
    started_at=NOW - timedelta(hours=3),
)


def show(data_dir: Path, *options: str, columns: int = 80, **environment: str) -> str:
    """``status`` on a real terminal of so many columns."""
    master, slave = pty.openpty()
    ioctl(slave, TIOCSWINSZ, pack("HHHH", 24, columns, 0, 0))
    command = [sys.executable, "-m", "device_agent", "--server", "http://localhost"]
    inherited = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "COLUMNS", "LINES")}
    with subprocess.Popen(
        [*command, "--data-dir", str(data_dir), "status", *options],
        cwd=REPOSITORY,
        stdout=slave,
        env=inherited | environment,
    ) as process:
        os.close(slave)
        shown = b""
        while piece := _read(master):
            shown += piece
        process.wait(30)
    os.close(master)
    return shown.decode().replace("\r\n", "\n")


def _read(master: int) -> bytes:
    try:
        return os.read(master, 65536)
    except OSError:  # Linux says so when the other side is closed
        return b""


@pytest.mark.parametrize("columns", [80, 60, 200])
def test_no_line_is_wider_than_the_terminal(columns: int, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    write_status(tmp_path, FULL)
    lines = ESCAPE.sub("", show(tmp_path, columns=columns)).split("\n")
    assert max(map(len, lines)) <= min(columns, 80)
    assert len(lines) > 20


def test_colour_is_for_terminals_whose_owner_wants_it(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    write_status(tmp_path, FULL)
    assert "\x1b[31m" in show(tmp_path)
    assert "\x1b" not in show(tmp_path, NO_COLOR="1")
    command = [sys.executable, "-m", "device_agent", "--server", "http://localhost"]
    command += ["--data-dir", str(tmp_path), "status"]
    piped = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert "\x1b" not in piped.stdout
    assert piped.returncode == 1  # it does not run


def test_a_stopped_agent_is_said_to_be_stopped_and_how_to_start_it() -> None:
    status = FULL.model_copy(update={"at": NOW - timedelta(hours=5)})
    screen = draw(status, is_running=False)
    assert "NOT running, last seen 5 hours ago" in screen
    assert "systemctl start linewarden-agent" in screen
    assert "Push none, while the agent is stopped" in " ".join(screen.split())


def test_each_problem_comes_with_what_to_do_next() -> None:
    screen = " ".join(draw(FULL, is_running=True).split())
    assert "AWAY: cannot reach" in screen
    assert "camera side: no usable picture. Look at cable and power" in screen
    assert "slows itself down (under-voltage): look at cooling and supply" in screen
    assert "on trial" in screen


def test_a_server_that_refuses_is_not_called_away() -> None:
    detail = "the server answered 403: This device waits for an admin to accept it."
    status = FULL.model_copy(update={"server_problem": detail, "is_refused": True})
    screen = " ".join(draw(status, is_running=True).split())
    assert f"REFUSES: {detail}" in screen
    assert "the server refuses this box" in screen
    assert "AWAY" not in screen
    assert "look at network" not in screen


def test_what_waits_for_the_window_says_when_that_opens() -> None:
    opens_at = datetime.now().astimezone().replace(hour=22, minute=0)
    status = FULL.model_copy(update={"step": "wait_window", "window_opens_at": opens_at})
    screen = " ".join(draw(status, is_running=True).split())
    assert f"waits for its line's update window, which opens {opens_at:%Y-%m-%d} 22:00" in screen


def test_a_first_release_on_its_way_is_no_problem() -> None:
    status = FULL.model_copy(update={"running_sha256": None, "step_problem": None})
    assert "nothing judges parts" not in draw(status, is_running=True)
    stuck = status.model_copy(update={"step": None})
    assert "nothing judges parts" in draw(stuck, is_running=True)


def test_shadow_and_variant_are_told_where_there_are_any() -> None:
    assert "Shadow" not in draw(FULL, is_running=True)
    assert "Variant" not in draw(FULL, is_running=True)
    names = {"shadow_sha256": "e" * 64, "shadow_release": "surface-2026.12", "variant": "arm-b"}
    screen = " ".join(draw(FULL.model_copy(update=names), is_running=True).split())
    assert "Shadow eeeeeeeeeeee surface-2026.12" in screen
    assert "Variant arm-b" in screen


def test_the_last_deployment_says_what_ended_how_when_and_why() -> None:
    assert "Last      no deployment yet" in draw(FULL, is_running=True)
    at = datetime.now().astimezone().replace(hour=4, minute=17)
    last = LastDeployment(
        phase=DeploymentPhase.ROLLED_BACK, detail="not_finite: NaN", sha256="f" * 64, at=at
    )
    screen = draw(FULL.model_copy(update={"last": last}), is_running=True)
    assert f"Last      ffffffffffff  rolled_back {at:%Y-%m-%d} 04:17\n" in screen
    assert "          not_finite: NaN\n" in screen


def test_a_download_shows_bytes_and_percent() -> None:
    assert "[#####...............] 25%  31.0 MB of 124.0 MB" in draw(FULL, is_running=True)


def test_no_escape_sequence_of_a_message_reaches_the_terminal() -> None:
    evil = FULL.model_copy(update={"step_problem": "\x1b]0;owned\x07 \x1b[2J text"})
    assert "\x1b" not in draw(evil, is_running=True)


def test_the_agent_tells_what_it_fetches_and_what_its_cameras_say(
    device: Device, server: Simulator, repository: SignedRepository
) -> None:
    release = repository.add_release("r1", profile=PROFILE, counter=1, padding=400_000)
    server.assign(release, rate_cap_bytes_s=60_000)
    device.start()

    def told() -> Status:
        status = read_status(device.state)
        assert status is not None
        return status

    device.wait(lambda: read_status(device.state) and told().download, "a download")
    download = told().download
    assert download is None or 0 < download.done <= download.total
    device.wait(lambda: told().running_sha256 == release.sha256, "judging parts")
    device.wait(lambda: [camera.state for camera in told().cameras] == ["ok"], "a camera")
    device.wait(lambda: told().health, "health")
    device.wait(lambda: told().last, "how the deployment ended")
    assert told().download is None
    shown = json.loads(show(device.state, "--json"))
    assert shown["is_running"] is True
    assert (shown["last"]["phase"], shown["last"]["sha256"]) == ("committed", release.sha256)
    assert shown["running_release"] == "r1"


def test_watching_draws_it_anew_until_somebody_has_seen_enough(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    write_status(tmp_path, FULL)
    command = [sys.executable, "-m", "device_agent", "--server", "http://localhost"]
    command += ["--data-dir", str(tmp_path), "status", "--watch"]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        drawn = 0
        for line in process.stdout:
            drawn += line.startswith("Agent")
            if drawn == 2:
                break
        process.send_signal(2)
        assert process.wait(30) == 0


@pytest.fixture
def listening(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """systemd's end of the notify socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield listening


def test_systemd_hears_that_it_is_up_what_runs_and_that_it_lives(
    listening: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "60000000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    systemd = Systemd()
    systemd.ready()
    systemd.say("runs r1\nREADY=0")
    systemd.say("runs r1\nREADY=0")
    systemd.alive()
    systemd.stopping()
    heard = [listening.recv(1000).decode() for _ in range(4)]
    assert heard == ["READY=1", "STATUS=runs r1 READY=0", "WATCHDOG=1", "STOPPING=1"]
    listening.setblocking(False)
    with pytest.raises(BlockingIOError):
        listening.recv(1000)


def test_a_systemd_that_does_not_listen_never_stops_the_agent(listening: socket.socket) -> None:
    for _ in range(2000):  # more than any socket buffer takes
        Systemd().ready()
    listening.close()
    Systemd().ready()  # and now nobody is there at all


def test_a_watchdog_of_another_process_is_not_fed(
    listening: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "60000000")
    monkeypatch.setenv("WATCHDOG_PID", "1")
    systemd = Systemd()
    systemd.alive()
    systemd.stopping()
    assert listening.recv(1000) == b"STOPPING=1"


def test_the_unit_names_this_interpreter_and_systemd_finds_no_fault_in_it(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "device_agent", "unit"]
    result = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    as_systemd_reads_it = result.stdout.replace("\\x20", " ").replace("%%", "%")
    assert f"ExecStart={sys.executable} -m device_agent run" in as_systemd_reads_it
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze, which comes with systemd")
    unit = tmp_path / "linewarden-agent.service"
    unit.write_text(result.stdout)
    verify = ["systemd-analyze", "verify", "--man=no", str(unit)]
    verified = subprocess.run(verify, capture_output=True, text=True, check=False)
    assert "linewarden-agent" not in verified.stderr
    assert verified.returncode == 0, verified.stderr


@pytest.fixture
def followed(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A log of two lines, and ``logs -f -n 1`` on it; ended whatever becomes of the test."""
    log = tmp_path / "logs" / "agent.log"
    log.parent.mkdir()
    log.write_text("one\ntwo\n")
    command = [sys.executable, "-m", "device_agent", "--server", "http://localhost"]
    command += ["--data-dir", str(tmp_path), "logs", "-f", "-n", "1"]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def test_a_log_is_followed_over_a_rotation(tmp_path: Path, followed: subprocess.Popen[str]) -> None:
    log = tmp_path / "logs" / "agent.log"
    assert followed.stdout is not None
    assert followed.stdout.readline() == "two\n"
    with log.open("a") as file:
        file.write("three\n")
    assert followed.stdout.readline() == "three\n"
    log.rename(log.with_name("agent.log.1"))
    log.write_text("four\n")
    assert followed.stdout.readline() == "four\n"
    followed.send_signal(signal.SIGINT)
    assert followed.wait(30) == 0


class _RotatedWhenLookedAt(type(Path())):  # type: ignore[misc]
    """A log that gets a line and is rotated at the very moment when somebody looks for that."""

    def stat(self, **options: bool) -> os.stat_result:
        old = Path(self.parent, "agent.log.1")
        if not old.exists():
            with self.open("a") as file:
                file.write("two\n")
            self.rename(old)
            self.write_text("three\n")
        return super().stat(**options)


def test_a_line_that_comes_just_before_a_rotation_is_followed_too(tmp_path: Path) -> None:
    log = _RotatedWhenLookedAt(tmp_path / "agent.log")
    log.write_text("one\n")
    lines = follow(log, 1, every_s=0.01)
    for line in ("one", "two", "three"):
        assert next(lines) == line
