"""One inference child: a process that speaks contract messages, watched from outside."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Literal, Protocol

from pydantic import ValidationError

from device_agent.files import write_atomically
from device_agent.inference.leftovers import FOLDER_VARIABLE
from device_agent.log import logger
from inference_core.contract.device import ProgressError
from inference_core.contract.serve import (
    SERVE_EVENT,
    AnyAgentCommand,
    AnyServeEvent,
    Command,
    Fatal,
    Heartbeat,
    Ready,
    ServeJob,
    ShareFrames,
)
from inference_core.contract.words import FailureCause

Event = AnyServeEvent

_MAX_LINE_BYTES = 4 * 1024 * 1024
_MAX_LOG_BYTES = 1024 * 1024


class Cell(Protocol):
    """Where the kernel holds a child to its memory limit; see ``limits``."""

    @property
    def has_killed(self) -> bool:
        """Whether the limit was reached."""

    def close(self) -> None:
        """The child is gone."""


class Child:
    """Starts with the constructor; ``on_event`` is called on the child's own reader thread."""

    def __init__(
        self,
        job: ServeJob,
        *,
        command: Sequence[str],
        environment: Mapping[str, str],
        folder: Path,
        on_event: Callable[[Child, Event], None],
        load_limit_s: float,
        silence_limit_s: float,
    ) -> None:
        self.job = job
        self.is_ready = False
        self.is_paused = job.paused
        self.rss_bytes: int | None = None
        self.cell: Cell | None = None
        self._share = 0.0
        self._tell_lock = threading.Lock()
        self._on_event = on_event
        self._load_limit_s, self._silence_limit_s = load_limit_s, silence_limit_s
        self._fatal: Fatal | None = None
        self._is_stopping = False
        self._started_at = self._heard_at = time.monotonic()
        self._log_path = folder / "child.log"
        self._job_path = folder / f"job-{job.release_sha256[:12]}-{time.monotonic_ns()}.json"
        self._process = self._start(command, environment)
        self._reader = threading.Thread(target=self._read, name="child-reader", daemon=True)
        self._reader.start()

    @property
    def release_sha256(self) -> str:
        """Digest of the release that it serves."""
        return self.job.release_sha256

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def silent_s(self) -> float:
        """Seconds since it last said anything."""
        return time.monotonic() - self._heard_at

    @property
    def age_s(self) -> float:
        """Seconds since it was started."""
        return time.monotonic() - self._started_at

    @property
    def failure(self) -> ProgressError | None:
        """Why it cannot be relied on any more, or None."""
        if self._fatal:
            return ProgressError(cause=self._fatal.cause, detail=self._fatal.detail[:2000])
        if self._process.poll() is not None:
            was_too_big = self.cell is not None and self.cell.has_killed
            cause = FailureCause.OUT_OF_MEMORY if was_too_big else FailureCause.CRASHED
            return ProgressError(cause=cause, detail=self._epitaph())
        if not self.is_ready and self.age_s > self._load_limit_s:
            return _hung(f"it did not become ready within {self._load_limit_s:g} s")
        if self.is_ready and self.silent_s > self._silence_limit_s:
            return _hung(f"it has said nothing for {self.silent_s:.0f} s")
        return None

    def send(self, word: Literal["pause", "resume", "stop"]) -> None:
        """Tell it what to do next; its silence counts from now on."""
        self._heard_at = time.monotonic()
        if word != "stop":
            self.is_paused = word == "pause"
        self.tell(Command(command=word))

    def share(self, share: float) -> None:
        """Let it lay so many of its frames into the share folder, if it does not already."""
        if share != self._share:
            self._share = share
            self.tell(ShareFrames(share=share))

    def tell(self, command: AnyAgentCommand) -> None:
        """Write a command; a child that is gone cannot hear, and is noticed by ``failure``."""
        with self._tell_lock, contextlib.suppress(BrokenPipeError, ValueError):
            stdin = self._pipe(self._process.stdin)
            stdin.write(command.to_json() + b"\n")
            stdin.flush()

    def stop(self, grace_s: float = 5.0) -> None:
        """Ask it to stop, and kill it when it does not."""
        self._is_stopping = True
        if self._process.poll() is None and self.failure is None:
            self.send("stop")
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(grace_s)
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._reader.join(grace_s)
        with contextlib.suppress(BrokenPipeError):
            self._pipe(self._process.stdin).close()
        with contextlib.suppress(OSError):  # read-only: the next start clears it
            self._job_path.unlink(missing_ok=True)

    def _start(
        self, command: Sequence[str], environment: Mapping[str, str]
    ) -> subprocess.Popen[bytes]:
        with self._write_job() as job, self._open_log() as log:
            return subprocess.Popen(
                [*command, "--job", str(self._job_path) if job is None else f"/dev/fd/{job}"],
                env={**environment, FOLDER_VARIABLE: str(self._log_path.parent)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                pass_fds=() if job is None else (job,),
                start_new_session=True,  # Ctrl-C in a terminal is for the agent, which stops it
            )

    @contextlib.contextmanager
    def _write_job(self) -> Iterator[int | None]:
        """The job as a file; on a disk that is full or read-only as a descriptor of memory."""
        try:
            write_atomically(self._job_path, self.job.to_json(), mode=0o600)
        except OSError:
            job = os.memfd_create("job")
            with os.fdopen(job, "wb") as memory:
                memory.write(self.job.to_json())
                memory.flush()
                memory.seek(0)
                yield job
        else:
            yield None

    def _open_log(self) -> IO[bytes]:
        """Where it writes what it has to say; without a disk nobody keeps it."""
        try:
            if self._log_path.exists() and self._log_path.stat().st_size > _MAX_LOG_BYTES:
                self._log_path.replace(self._log_path.with_suffix(".log.1"))
            return self._log_path.open("ab")
        except OSError:
            return open(os.devnull, "ab")  # noqa: PTH123 - the caller closes it

    def _read(self) -> None:
        stdout = self._pipe(self._process.stdout)
        has_complained = False
        with stdout:
            while line := stdout.readline(_MAX_LINE_BYTES):
                try:
                    event = SERVE_EVENT.validate_json(line)
                except ValidationError:
                    if not has_complained:  # a library that prints must not fill the log
                        logger.warning("child %d printed what is no event: %.200r", self.pid, line)
                    has_complained = True
                    continue
                self._take(event)

    def _take(self, event: Event) -> None:
        self._heard_at = time.monotonic()
        if isinstance(event, (Ready, Heartbeat)):
            self.rss_bytes = event.rss_bytes
        if isinstance(event, Ready):
            self.is_ready = True
        if isinstance(event, Fatal):
            self._fatal = event
        self._on_event(self, event)

    def _epitaph(self) -> str:
        code = self._process.returncode
        if code >= 0:
            how = f"the inference process exited with {code}"
        else:
            how = f"the inference process was killed by {signal.Signals(-code).name}"
        return f"{how}{'' if self.is_ready else ' while loading'}: {self._last_words()}"[:2000]

    def _last_words(self) -> str:
        lines: list[str] = []
        with contextlib.suppress(OSError), self._log_path.open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - 2000))
            lines = log.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it left no message"

    @staticmethod
    def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
        if pipe is None:
            raise ValueError("the child was started without pipes")
        return pipe


def _hung(detail: str) -> ProgressError:
    return ProgressError(cause=FailureCause.HUNG, detail=detail)
