"""What an inference child may take of the box: memory, and its place when memory runs out."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Literal

from device_agent.errors import Rejected
from device_agent.hardware.generic import memory_bytes
from device_agent.inference.child import Cell
from device_agent.log import logger
from inference_core.contract.release import ReleaseManifest
from inference_core.contract.words import FailureCause

Role = Literal["resident", "candidate", "shadow"]

_OOM_SCORE_ADJ: dict[Role, int] = {"resident": 300, "candidate": 600, "shadow": 1000}
"""proc_pid_oom_score_adj(5): whom the kernel ends first. The agent stays at 0 to tell of it."""

_SHADOW_NICENESS = 19
_CHILD_SHARE = 0.8
"""Of the box's memory, where no limit is set: the rest is for the system and the agent."""


def default_limit_bytes() -> int | None:
    """The memory that one child may hold, or None where the box does not say what it has."""
    total = memory_bytes()
    return int(total * _CHILD_SHARE) if total else None


def rank(pid: int, role: Role) -> None:
    """Give a child its place when memory runs out, and a shadow what processor time is left.

    At once after the start: threads inherit the niceness that their process has by then.
    """
    try:
        Path(f"/proc/{pid}/oom_score_adj").write_text(str(_OOM_SCORE_ADJ[role]))
        if role == "shadow":
            os.setpriority(os.PRIO_PROCESS, pid, _SHADOW_NICENESS)
    except OSError as error:  # it has ended already, or this box forbids it: never vital
        logger.warning("child %d keeps its rank: %s", pid, error)


def refuse_if_too_big(manifest: ReleaseManifest, resident_bytes: int | None) -> None:
    """``Rejected`` where a release cannot fit into the box beside the one that runs.

    By the signed peak memory, before anything is loaded. The resident is never unloaded to make
    room: without it nobody could judge parts while the candidate loads, or take over again.
    """
    total = memory_bytes()
    peak = sum(artifact.peak_memory_bytes for artifact in manifest.artifacts.values())
    if total is None or peak + (resident_bytes or 0) <= total:
        return
    raise Rejected(
        f"release {manifest.release!r} needs {peak} bytes of memory beside the "
        f"{resident_bytes or 0} bytes of the release that runs, and this device has {total}: "
        "build it smaller, or assign no release first",
        cause=FailureCause.OUT_OF_MEMORY,
    )


class Cage:
    """A cgroup of the agent's own, where the kernel holds every child to a memory limit.

    Needs cgroup v2 with the memory controller handed over (systemd: ``Delegate=memory``).
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @classmethod
    def find(
        cls, root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")
    ) -> Cage | None:
        """The cage, or None where there is none; then only what a child says of itself counts.

        A cgroup that hands on a controller holds no process itself, so the agent moves into a
        leaf of its own (Linux, cgroup-v2.rst, "No Internal Process Constraint").
        """
        try:
            folder = _own_folder(root, own)
            _require_delegation(folder)
            agent = folder / "agent"
            agent.mkdir(exist_ok=True)
            (agent / "cgroup.procs").write_text(str(os.getpid()))
            (folder / "cgroup.subtree_control").write_text("+memory")
        except OSError as error:
            logger.info("no memory cgroup for inference, watching its size instead: %s", error)
            return None
        return cls(folder)

    def lock_in(self, pid: int, limit_bytes: int) -> Cell | None:
        """Hold a process to ``limit_bytes``; None where it cannot be."""
        cell = MemoryCell(self._folder / f"inference-{pid}")
        try:
            cell.take(pid, limit_bytes)
        except OSError as error:
            logger.warning("child %d is not held to its memory limit: %s", pid, error)
            cell.close()
            return None
        return cell


class MemoryCell:
    """The cgroup of one child."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def take(self, pid: int, limit_bytes: int) -> None:
        """Set the limit and let the process in. What it starts is held, and ended, with it."""
        self._folder.mkdir()
        (self._folder / "memory.max").write_text(str(limit_bytes))
        (self._folder / "memory.oom.group").write_text("1")
        (self._folder / "cgroup.procs").write_text(str(pid))

    @property
    def has_killed(self) -> bool:
        """Whether the kernel ended a process here because the limit was reached."""
        try:
            lines = (self._folder / "memory.events").read_text().splitlines()
        except OSError:
            return False
        return any(line.startswith("oom_kill ") and line != "oom_kill 0" for line in lines)

    def close(self) -> None:
        """Remove it; the kernel keeps one that still holds a process."""
        with contextlib.suppress(OSError):
            self._folder.rmdir()


def _own_folder(root: Path, own: Path) -> Path:
    for line in own.read_text().splitlines():
        if line.startswith("0::"):
            return root / line[3:].lstrip("/")
    raise FileNotFoundError("this system has no cgroup v2")


def _require_delegation(folder: Path) -> None:
    """Only what was handed over may be divided; root could write to everything."""
    controllers = (folder / "cgroup.controllers").read_text().split()
    if "memory" not in controllers:
        raise FileNotFoundError(f"{folder} has no memory controller")
    for name in ("user.delegate", "trusted.delegate"):
        with contextlib.suppress(OSError):
            if os.getxattr(folder, name) == b"1":
                return
    raise PermissionError(f"{folder} is not delegated (systemd: Delegate=memory)")
