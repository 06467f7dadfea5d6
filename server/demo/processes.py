"""Child processes that start together, are watched, and end together."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

PR_SET_PDEATHSIG = 1
STOP_PATIENCE_S = 20.0


def _die_with_parent() -> None:
    """Run in the child: ask Linux for SIGTERM should the parent be killed."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


@dataclass
class Ensemble:
    """Starts processes with a log file each; leaving the context stops them, last one first."""

    log_folder: Path
    environment: Mapping[str, str]
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str, arguments: Sequence[str]) -> None:
        """Start ``arguments`` as ``name``, in a session of its own, so that Ctrl-C is ours."""
        self.log_folder.mkdir(parents=True, exist_ok=True)
        with self.log_path(name).open("ab") as log:
            self.processes[name] = subprocess.Popen(
                arguments,
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - no thread runs this early
            )

    def log_path(self, name: str) -> Path:
        """Where the output of ``name`` goes."""
        return self.log_folder / f"{name}.log"

    def dead(self) -> dict[str, int]:
        """Names of processes that have ended by themselves, with their exit status."""
        ended = {name: process.poll() for name, process in self.processes.items()}
        return {name: status for name, status in ended.items() if status is not None}

    def stop(self) -> None:
        """Ask each to finish, the last started first; kill what does not within 20 s."""
        for process in reversed(self.processes.values()):
            if process.poll() is None:
                process.terminate()
                _wait(process)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def _wait(process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + STOP_PATIENCE_S
    while time.monotonic() < deadline:
        try:
            process.wait(timeout=max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            break
        except KeyboardInterrupt:
            # A second Ctrl-C must not leave processes behind.
            continue
        return
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
