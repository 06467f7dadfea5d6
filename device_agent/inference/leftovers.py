"""Inference children that outlived their agent: found, and ended before others are started."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

FOLDER_VARIABLE = "LINEWARDEN_CHILD_OF"
"""Environment variable of every child: the folder of the agent that started it."""

_END_S = 5.0
"""A killed process that is stuck in a driver may outlive the kill; that is no reason to wait on."""


def end_leftovers(folder: Path) -> None:
    """Kill children of an agent that was itself killed: two must not share cameras and memory.

    They are known by their environment, which names our folder: a pid that was written down would
    come too late for an agent that dies right after it has started a child.
    """
    ends_at = time.monotonic() + _END_S
    while (leftovers := _processes_of(folder)) and time.monotonic() < ends_at:
        for pid in leftovers:
            with contextlib.suppress(OSError):  # it ended meanwhile
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)  # the kernel gives a camera back when the process is gone, not before
    for path in folder.glob("job-*"):
        with contextlib.suppress(OSError):  # a read-only disk keeps it
            path.unlink()


def _processes_of(folder: Path) -> list[int]:
    """Living processes that were started with ``folder`` as theirs."""
    mark, found = f"{FOLDER_VARIABLE}={folder}".encode(), []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):  # it ended meanwhile, or is a stranger's
            if mark in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
    return found
