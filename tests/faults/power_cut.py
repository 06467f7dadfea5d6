"""SIGKILL before the n-th change that the agent makes to the disk, and agents that start quickly.

The product has no switch for it. The launcher watches its own process from outside the agent's
code: Python's audit events tell of every rename, removal, new folder, link, file and process
before it happens; ``os.fsync`` and the database's COMMIT are wrapped, as they have none.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
import sys
import threading
import time
from dataclasses import dataclass
from functools import partial
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    ["device_agent.agent", "device_agent.trust", "tuf.ngclient", "tests.faults.power_cut"]
)
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_NAMED_FIRST = frozenset({"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.symlink"})


@dataclass(frozen=True)
class PowerCut:
    """When to pull the plug: before change ``nth`` (from 1) of ``during`` on ``thread``.

    ``during`` is a step, "start" for the time before the first one, or "always". With
    ``takes_child`` the inference child dies in the same moment, as it does on a real box.
    """

    during: str
    nth: int
    thread: str = "MainThread"
    takes_child: bool = False


@dataclass(frozen=True)
class Hold:
    """Where to stop for a while: before ``step``, the first time, until the file ``go`` is there.

    The file ``here`` tells that it has come so far. Deliveries go on beside it.
    """

    step: str
    here: Path
    go: Path

    def enter(self, when: str, step: str) -> None:
        if when == "before" and str(step) == self.step and not self.here.exists():
            self.here.touch()
            while not self.go.exists():
                time.sleep(0.01)


def start_agent(
    settings: Path, log: Path, cut: PowerCut | None = None, hold: Hold | None = None
) -> ForkServerProcess:
    """An agent process of its own, forked from one that has the imports behind it."""
    process = _CONTEXT.Process(target=_run, args=(settings, log, cut, hold), daemon=True)
    process.start()
    return process


def _run(settings: Path, log: Path, cut: PowerCut | None, hold: Hold | None) -> None:
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.dup2(descriptor, 2)

    from device_agent.agent import Agent
    from device_agent.config import load_config
    from device_agent.files import make_folder
    from device_agent.log import start_logging
    from device_agent.status import only_agent

    config = load_config(settings)
    make_folder(config.data_dir)
    with only_agent(config.data_dir):
        start_logging(make_folder(config.data_dir / "logs"))
        watch = hold if cut is None else _Watch(cut, config.data_dir)
        if watch is None:
            Agent(config).run()
        else:
            Agent(config, on_step=watch.enter).run()


class _Watch:
    def __init__(self, cut: PowerCut, folder: Path) -> None:
        self._cut, self._folder = cut, str(folder)
        self._changes = 0
        self._is_armed = cut.during in ("start", "always")
        self._wrap_what_has_no_audit_event()
        sys.addaudithook(self._hear)

    def enter(self, when: str, step: str) -> None:
        if when == "before" and self._cut.during != "always":
            self._is_armed = str(step) == self._cut.during

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITES:
            self._note_change_of(arguments[0])
        elif event in _NAMED_FIRST:
            self._note_change_of(arguments[1] if event == "os.symlink" else arguments[0])
        elif event == "subprocess.Popen":
            self._note_change()

    def _note_change_of(self, path: object) -> None:
        if isinstance(path, (str, bytes, os.PathLike)) and self._folder in str(os.fsdecode(path)):
            self._note_change()

    def _note_change(self) -> None:
        if not self._is_armed or threading.current_thread().name != self._cut.thread:
            return
        self._changes += 1
        if self._changes == self._cut.nth:
            self._pull_the_plug()

    def _pull_the_plug(self) -> None:
        if self._cut.takes_child:
            for pid in inference_processes(Path(self._folder)):
                os.kill(pid, signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)

    def _wrap_what_has_no_audit_event(self) -> None:
        note_change, fsync = self._note_change, os.fsync

        class Connection(sqlite3.Connection):
            def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
                if statement == "COMMIT":
                    note_change()
                return super().execute(statement, *values)

        def watched_fsync(descriptor: int) -> None:
            note_change()
            fsync(descriptor)

        os.fsync = watched_fsync  # type: ignore[assignment] # this process only
        sqlite3.connect = partial(sqlite3.connect, factory=Connection)  # type: ignore[assignment] # too


def inference_processes(data_dir: Path) -> list[int]:
    """Processes that an agent with this data folder has started."""
    mark, found = f"LINEWARDEN_CHILD_OF={data_dir}/run".encode(), []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            environment = path.read_bytes()
        except OSError:
            continue
        if mark in environment.split(b"\0"):
            found.append(int(path.parent.name))
    return found
