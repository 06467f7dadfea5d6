"""The launcher: which code a start runs, whatever lies on the disk."""

from __future__ import annotations

import argparse
import fcntl
import json
import resource
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from device_agent.config import DEFAULT_PATH, Config
from device_agent.launcher import (
    MAX_STARTS,
    MAX_STARTS_OF_PROVEN,
    Starts,
    choose,
    find_data_dir,
    launch,
    read_starts,
    write_starts,
)
from device_agent.update.agent_code import AgentCode
from tests.agent.device import REPOSITORY

OLD, GOOD, NEW = "a" * 64, "b" * 64, "c" * 64
TRIAL = Starts(digests=(NEW, GOOD), is_proven=False)


def is_here(_: str) -> bool:
    return True


def options(**given: str | None) -> argparse.Namespace:
    return argparse.Namespace(**({"data_dir": None, "config": None} | given))


def test_a_start_is_counted_before_the_code_runs() -> None:
    assert choose(TRIAL, is_here) == replace(TRIAL, starts=1)


def test_three_failed_starts_bring_the_last_good_code_back_and_say_why() -> None:
    known = TRIAL
    for _ in range(MAX_STARTS):
        known = choose(known, is_here)
        assert known.first == NEW
    after = choose(replace(known, why="the server was not reached"), is_here)
    assert (after.first, after.is_proven, after.starts) == (GOOD, True, 1)
    assert (after.bad, after.reverted) == (NEW, NEW)
    assert after.why == "3 starts have failed: the server was not reached"


def test_without_an_older_code_the_installed_agent_runs() -> None:
    known = Starts(digests=(NEW,), is_proven=False, starts=MAX_STARTS)
    assert choose(known, is_here).first is None


def test_code_whose_files_are_gone_is_not_started() -> None:
    after = choose(TRIAL, lambda digest: digest == GOOD)
    assert (after.first, after.bad) == (GOOD, NEW)


def test_proven_code_that_rotted_is_left_late_and_may_be_brought_again() -> None:
    known = Starts(digests=(GOOD, OLD), starts=MAX_STARTS_OF_PROVEN - 1)
    assert choose(known, is_here).first == GOOD
    after = choose(choose(known, is_here), is_here)
    assert (after.first, after.bad, after.reverted) == (OLD, None, GOOD)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 4096,
        b"[]",
        b"null",
        b'{"digests": 5}',
        b'{"digests": ["../../etc"]}',
        b'{"digests": [7], "is_proven": true}',
        b'{"starts": "three"}',
        b'{"starts": -1}',
        b'{"why": {}}',
        b"[" * 100_000,
    ],
)
def test_a_damaged_state_file_runs_the_installed_agent(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "starts.json").write_bytes(content)
    assert read_starts(tmp_path) == Starts()


def test_a_later_agent_may_write_fields_that_this_launcher_does_not_know(tmp_path: Path) -> None:
    write_starts(tmp_path, TRIAL)
    values = json.loads((tmp_path / "starts.json").read_bytes())
    (tmp_path / "starts.json").write_text(json.dumps({**values, "mood": "hopeful"}))
    assert read_starts(tmp_path) == TRIAL


@pytest.mark.parametrize(
    "settings",
    [
        '{"data_dir": "/srv/box"}',
        "server_url: https://x\ndata_dir: /srv/box\n",
        "data_dir:   '/srv/box'   # the big disk\nserver_url: https://x\n",
        'data_dir: "/srv/box"',
    ],
)
def test_it_finds_the_data_folder_in_the_settings(
    settings: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LINEWARDEN_AGENT_DATA_DIR", raising=False)
    path = tmp_path / "agent.yaml"
    path.write_text(settings)
    assert find_data_dir(options(config=str(path))) == "/srv/box"
    monkeypatch.setenv("LINEWARDEN_AGENT_DATA_DIR", "/srv/other")
    assert find_data_dir(options(config=str(path))) == "/srv/other"
    assert find_data_dir(options(config=str(path), data_dir="/srv/third")) == "/srv/third"


def test_it_and_the_settings_agree_about_what_is_usual(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LINEWARDEN_AGENT_DATA_DIR", raising=False)
    if DEFAULT_PATH.exists():
        pytest.skip("this machine has an agent's settings of its own")
    usual = Config(server_url="https://x").data_dir
    assert find_data_dir(options()) == str(usual)


def test_it_imports_nothing_but_the_standard_library_and_the_files_of_the_agent() -> None:
    script = (
        "import sys, device_agent.launcher\n"
        "strangers = {name.partition('.')[0] for name in sys.modules} - {'device_agent'}\n"
        "print(sorted(strangers - sys.stdlib_module_names - {'__main__'}),"
        " sorted(name for name in sys.modules if name.startswith('device_agent')))"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", script],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    own = ["device_agent", "device_agent.files", "device_agent.launcher"]
    assert done.stdout.strip() == f"[] {own}"


def test_the_process_becomes_the_unpacked_agent_and_keeps_its_pid(tmp_path: Path) -> None:
    launched = _start(tmp_path, "import os\nprint(os.getpid(), os.environ['PYTHONPATH'])")
    code = tmp_path / "agent" / NEW
    assert launched.stdout.split() == [str(launched.pid), str(code)]
    assert read_starts(tmp_path / "agent").starts == 1


def test_code_that_hangs_before_it_looks_after_itself_is_ended_by_an_alarm(tmp_path: Path) -> None:
    launched = _start(tmp_path, "import signal\nprint(signal.alarm(0))")
    assert 900 < int(launched.stdout) <= 990


def test_a_start_that_cannot_be_counted_is_not_risked(tmp_path: Path) -> None:
    _lay(tmp_path / "agent", "print('the new one')")
    result = _run(tmp_path, preexec_fn=_forbid_writing)
    assert "cannot count this start" in result.stderr
    assert "the new one" not in result.stdout
    assert read_starts(tmp_path / "agent").starts == 0


def test_a_second_agent_beside_the_running_one_is_no_failed_start(tmp_path: Path) -> None:
    _lay(tmp_path / "agent", "print('the new one')")
    with (tmp_path / "agent.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "the new one" not in _run(tmp_path).stdout
    assert read_starts(tmp_path / "agent").starts == 0


def test_other_commands_are_the_installed_agents_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _lay(tmp_path / "agent", "print('the new one')")
    launch(["--data-dir", str(tmp_path), "status"])
    assert read_starts(tmp_path / "agent").starts == 0


def test_only_what_a_start_may_need_is_kept(tmp_path: Path) -> None:
    code = AgentCode(tmp_path)
    for counter, digest in enumerate((OLD, GOOD, NEW)):
        (tmp_path / digest).mkdir()
        (tmp_path / ".unpack-1").mkdir()
        code.try_next(digest, counter=counter, limit_s=5, needs_inference=False)
        code.prove()
        code.prune()
    assert sorted(path.name for path in tmp_path.iterdir()) == [GOOD, NEW, "partial", "starts.json"]


def _lay(folder: Path, script: str) -> None:
    (folder / NEW).mkdir(parents=True)
    (folder / NEW / "__main__.py").write_text(script)
    write_starts(folder, Starts(digests=(NEW,), is_proven=False))


@dataclass
class Ended:
    pid: int
    stdout: str
    stderr: str


def _start(data_dir: Path, script: str) -> Ended:
    _lay(data_dir / "agent", script)
    return _run(data_dir)


def _run(data_dir: Path, **how: Any) -> Ended:
    command = [sys.executable, "-m", "device_agent", "--data-dir", str(data_dir), "run"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=REPOSITORY, text=True, **pipes, **how) as process:
        return Ended(process.pid, *process.communicate(timeout=60))


def _forbid_writing() -> None:
    """As a full disk would, also for the superuser."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
