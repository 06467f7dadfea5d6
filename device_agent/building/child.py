"""The child that builds or judges: last in every queue of the box, and gone with all of it."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol, Union

import psutil
from pydantic import ValidationError

from device_agent.inference.child import Cell
from device_agent.log import logger
from inference_core.contract.build import BuildOutcome, BuildProgress
from inference_core.contract.device_build import MAX_BUILD_LOG
from inference_core.contract.golden import PipelineOutcome, PipelineProgress
from inference_core.contract.release import MAX_ARTIFACT_BYTES

_NICENESS = 19
_OOM_SCORE_ADJ = 1000
_MAX_LINE_BYTES = 4 * 1024 * 1024


Event = Union[BuildProgress, BuildOutcome, PipelineProgress, PipelineOutcome]
_STEP = "judge"
"""What a child does that judges: it tells of no steps."""


class Task(Protocol):
    """What a child is for."""

    @property
    def command(self) -> str:
        """Of ``python -m inference_core``; it takes ``--job``."""

    @property
    def what(self) -> str:
        """For people: "the build"."""

    def read_event(self, line: bytes) -> Event:
        """What a line of it says; raises ``ValidationError``."""


class TurnChild:
    """``python -m inference_core COMMAND --job``; what it says goes to files, and is read there."""

    def __init__(self, python: str, task: Task, job: Path, environment: Mapping[str, str]) -> None:
        folder = job.parent
        self.cell: Cell | None = None
        self.outcome: BuildOutcome | PipelineOutcome | None = None
        self.step, self.share, self.log = "", 0.0, ""
        self._task = task
        self._events, self._errors = folder / "events", folder / "errors"
        self._read_to, self._begun_at = 0, time.monotonic()
        with self._events.open("wb") as events, self._errors.open("wb") as errors:
            self._process = subprocess.Popen(
                [python, "-m", "inference_core", task.command, "--job", str(job)],
                cwd=folder,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=events,
                stderr=errors,
                start_new_session=True,
            )
        _humble(self._process.pid)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def age_s(self) -> float:
        """Seconds since it was started."""
        return time.monotonic() - self._begun_at

    @property
    def is_over(self) -> bool:
        """Whether it has ended; then everything that it said has been read after ``read``."""
        return self._process.poll() is not None

    def read(self) -> None:
        """Take in what it has said since the last call."""
        for line in self._new_lines():
            try:
                event = self._task.read_event(line)
            except ValidationError:
                self._note(line.decode(errors="replace")[:1000])
                continue
            if isinstance(event, (BuildProgress, PipelineProgress)):
                self.step = event.step if isinstance(event, BuildProgress) else _STEP
                self.share = event.share
                self._note(f"{event.share:4.0%}  {self.step}: {event.detail}")
            else:
                self.outcome = event
                self._note(f"{event.outcome}: {event.reason}")

    def rss_bytes(self) -> int:
        """Memory of the child and all that it started."""
        total = 0
        with contextlib.suppress(psutil.Error):
            child = psutil.Process(self.pid)
            for process in (child, *child.children(recursive=True)):
                with contextlib.suppress(psutil.Error):  # it ended meanwhile
                    total += process.memory_info().rss
        return total

    def why_it_ended(self) -> str:
        """Of one that ended without an outcome."""
        code = self._process.poll()
        if self.cell is not None and self.cell.has_killed:
            return f"{self._task.what} needed more memory than it may have"
        if code is not None and code < 0:
            return f"{self._task.what} was killed by {signal.Signals(-code).name}"
        return f"{self._task.what} ended with status {code} and no outcome: {self._last_words()}"

    def end(self) -> None:
        """Kill whatever is left of it and of its children."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        if self.cell is not None:
            self.cell.close()

    def _new_lines(self) -> Iterator[bytes]:
        """Whole lines only: the rest of one that is being written comes with the next call."""
        with self._events.open("rb") as file:
            file.seek(self._read_to)
            while (line := file.readline(_MAX_LINE_BYTES)).endswith(b"\n"):
                self._read_to = file.tell()
                yield line

    def _note(self, text: str) -> None:
        self.log = f"{self.log}{text.replace(chr(0), '')}\n"[-MAX_BUILD_LOG:]

    def _last_words(self) -> str:
        with self._errors.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 2000))
            lines = file.read().decode(errors="replace").strip().splitlines()
        return lines[-1][:500] if lines else "it left no message"


def _humble(pid: int) -> None:
    """Least of everything, for the child and all threads and processes that it will start.

    SCHED_IDLE runs only where nobody else wants to (sched(7)); niceness is for kernels without
    it, and the disk has an idle class of its own. What a box forbids is never vital.
    """
    try:
        Path(f"/proc/{pid}/oom_score_adj").write_text(str(_OOM_SCORE_ADJ))
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (MAX_ARTIFACT_BYTES, MAX_ARTIFACT_BYTES))
        resource.prlimit(pid, resource.RLIMIT_CORE, (0, 0))
        os.setpriority(os.PRIO_PROCESS, pid, _NICENESS)
        os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0))
        psutil.Process(pid).ionice(psutil.IOPRIO_CLASS_IDLE)
    except (OSError, psutil.Error) as error:
        logger.warning("the child %d keeps its rank: %s", pid, error)
