"""Runs heavy or dangerous work in a child: limited, watched, and gone when it is over."""

from __future__ import annotations

import importlib.util
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from server.lib.lines import Lines, Tail

POLL_S = 0.2
CHUNK_BYTES = 64 * 1024
TOOL_VARIABLES = ("LINEWARDEN_LITERT_PYTHON", "XDG_CACHE_HOME")
"""Paths that a child needs and cannot find otherwise: a program, and where to keep timings."""
_LAUNCH = Path(__file__).with_name("launch.py")


@dataclass(frozen=True)
class ChildLimits:
    """What the kernel lets a child have; each process that it starts has as much again."""

    memory_bytes: int = 8 * 1024**3
    cpu_s: int = 3600
    file_bytes: int = 4 * 1024**3
    open_files: int = 512
    output_bytes: int = 16 * 1024**2

    def arguments(self) -> list[str]:
        """As ``launch.py`` takes them."""
        return [
            f"RLIMIT_AS={self.memory_bytes}",
            f"RLIMIT_CPU={self.cpu_s}",
            f"RLIMIT_FSIZE={self.file_bytes}",
            f"RLIMIT_NOFILE={self.open_files}",
            "RLIMIT_CORE=0",
        ]


class Ending(Enum):
    """Who ended the child."""

    ITSELF = "itself"
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"
    OUTPUT = "output"


@dataclass(frozen=True)
class Completed:
    """A child that is over, and all that it started with it.

    ``returncode`` is negative for a signal. ``stdout`` is whole, unless ``ending`` is OUTPUT;
    ``stderr_tail`` has the last kilobytes.
    """

    returncode: int
    stdout: str
    stderr_tail: str
    ending: Ending = Ending.ITSELF


def run_core(
    arguments: list[str],
    *,
    timeout_s: float,
    limits: ChildLimits,
    on_line: Callable[[str], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Completed:
    """Run ``python -m inference_core`` with ``arguments``; see ``run_child``."""
    command = [sys.executable, "-m", "inference_core", *arguments]
    return run_child(
        command, timeout_s=timeout_s, limits=limits, on_line=on_line, cancelled=cancelled
    )


def run_child(
    command: list[str],
    *,
    timeout_s: float,
    limits: ChildLimits,
    on_line: Callable[[str], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Completed:
    """Run ``command`` in a session, a folder and an environment of its own, until it is over.

    ``on_line`` gets each line of its output as it comes. ``cancelled`` is asked several times a
    second, in the calling thread; True kills. What either of them raises kills too, and is raised.
    """
    launch = [sys.executable, "-I", "-S", str(_LAUNCH), str(os.getpid()), *limits.arguments()]
    with tempfile.TemporaryDirectory(prefix="linewarden-child-") as folder:
        process = subprocess.Popen(
            [*launch, "--", *command],
            cwd=folder,
            env=_environment(folder),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        out, tail = Lines(limits.output_bytes, on_line), Tail()
        try:
            ending = _watch(process, out, tail, time.monotonic() + timeout_s, cancelled)
        finally:
            _end(process)
    if ending is Ending.ITSELF:
        out.finish()
    return Completed(process.returncode, out.text(), tail.text(), ending)


def _environment(folder: str) -> dict[str, str]:
    """Nothing of the server's own: no addresses, no passwords, no settings; only its tools."""
    core = importlib.util.find_spec("inference_core")
    if core is None or not core.submodule_search_locations:
        raise RuntimeError("inference_core is not installed beside the server")
    return {
        **{name: os.environ[name] for name in TOOL_VARIABLES if name in os.environ},
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": "C.UTF-8",
        "HOME": folder,
        "TMPDIR": folder,
        "PYTHONPATH": str(Path(core.submodule_search_locations[0]).parent),
        # Without it, the first place that Python looks for modules is the working folder.
        "PYTHONSAFEPATH": "1",
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def _watch(
    process: subprocess.Popen[bytes],
    out: Lines,
    tail: Tail,
    deadline: float,
    cancelled: Callable[[], bool] | None,
) -> Ending:
    with selectors.DefaultSelector() as selector:
        for pipe, lines in ((process.stdout, out), (process.stderr, tail)):
            if pipe is not None:
                os.set_blocking(pipe.fileno(), False)
                selector.register(pipe, selectors.EVENT_READ, lines)
        while True:
            is_over = _has_exited(process)
            _read(selector, 0 if is_over else POLL_S)
            if out.is_full:
                return Ending.OUTPUT
            if is_over:
                return Ending.ITSELF
            if time.monotonic() > deadline:
                return Ending.TIMEOUT
            if cancelled is not None and cancelled():
                return Ending.CANCELLED


def _read(selector: selectors.BaseSelector, timeout_s: float) -> None:
    """Take what lies in the pipes; after the exit too, but without waiting for grandchildren."""
    if not selector.get_map():
        time.sleep(timeout_s)
    while ready := selector.select(timeout_s):
        timeout_s = 0
        for key, _ in ready:
            chunk = os.read(key.fd, CHUNK_BYTES)
            if not chunk:
                selector.unregister(key.fileobj)
            key.data.take(chunk)
            if key.data.is_full:
                return


def _has_exited(process: subprocess.Popen[bytes]) -> bool:
    """Look without reaping: until it is reaped, nobody else can get its process group's id."""
    flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
    return os.waitid(os.P_PID, process.pid, flags) is not None


def _end(process: subprocess.Popen[bytes]) -> None:
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
