"""What a technician in front of the box wants to know, from a file that the agent keeps fresh."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO, Literal

from pydantic import ValidationError

from device_agent.errors import ConfigError
from inference_core.contract.base import Message
from inference_core.contract.telemetry import CameraState, Health
from inference_core.contract.words import DeploymentPhase


class CameraStatus(Message):
    """A camera, and what its newest frame was; the address without its secrets."""

    name: str
    role: str
    address: str
    state: CameraState | None = None


class Download(Message):
    """How far the file is that is being fetched now, in bytes."""

    path: str
    done: int
    total: int


class BuildStatus(Message):
    """A build, or a check of golden cases, on this very box: its number, and how far it is."""

    build: int
    step: str
    share: float
    what: Literal["build", "check"] = "build"


class LastDeployment(Message):
    """How the newest one ended here."""

    phase: DeploymentPhase
    detail: str
    sha256: str
    at: datetime


class Status(Message):
    """The agent's own view, a few seconds old while it runs."""

    at: datetime
    pid: int
    server_url: str
    serial: str
    device_id: str | None = None
    profile: str | None = None
    last_contact_at: datetime | None = None
    server_problem: str | None = None
    is_refused: bool = False
    push: str | None = None
    running_sha256: str | None = None
    running_release: str | None = None
    shadow_sha256: str | None = None
    shadow_release: str | None = None
    variant: str | None = None
    previous_sha256: str | None = None
    goal_generation: int | None = None
    goal_sha256: str | None = None
    step: str | None = None
    step_problem: str | None = None
    window_opens_at: datetime | None = None
    last: LastDeployment | None = None
    reports_waiting: int = 0
    records_waiting: int = 0
    journal_is_durable: bool = True
    agent_version: str | None = None
    agent_sha256: str | None = None
    is_on_trial: bool = False
    started_at: datetime | None = None
    cameras: tuple[CameraStatus, ...] = ()
    health: Health | None = None
    download: Download | None = None
    build: BuildStatus | None = None


def write_status(data_dir: Path, status: Status) -> None:
    """Replace the status file; not fsynced, because it is of no use after a power cut."""
    fresh = data_dir / "run" / ".status.json"
    fresh.write_bytes(status.to_json())
    fresh.replace(data_dir / "run" / "status.json")


def read_status(data_dir: Path) -> Status | None:
    """The last status that an agent wrote here, or None."""
    try:
        return Status.model_validate_json((data_dir / "run" / "status.json").read_bytes())
    except (OSError, ValidationError):
        return None


@contextmanager
def only_agent(data_dir: Path) -> Iterator[None]:
    """Hold the folder's lock: two agents on one journal would undo each other's work."""
    with _open_lock(data_dir / "agent.lock") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ConfigError(f"another agent already works in {data_dir}") from error
        yield


def _open_lock(path: Path) -> IO[str]:
    """To be read only where it is there: a lock needs no more, and the disk may be read-only."""
    return path.open("r" if path.exists() else "a")


def agent_is_running(data_dir: Path) -> bool:
    """Whether an agent holds the folder's lock now."""
    try:
        with only_agent(data_dir):
            return False
    except ConfigError:
        return True
    except OSError:
        return False
