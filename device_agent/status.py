"""What a technician in front of the box wants to know, from a file that the agent keeps fresh."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path

from pydantic import ValidationError

from device_agent.errors import ConfigError
from inference_core.contract.base import Message


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
    push: str | None = None
    running_sha256: str | None = None
    running_release: str | None = None
    previous_sha256: str | None = None
    goal_generation: int | None = None
    goal_sha256: str | None = None
    step: str | None = None
    step_problem: str | None = None
    last_ending: str | None = None
    reports_waiting: int = 0
    records_waiting: int = 0
    journal_is_durable: bool = True


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
    with (data_dir / "agent.lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ConfigError(f"another agent already works in {data_dir}") from error
        yield


def agent_is_running(data_dir: Path) -> bool:
    """Whether an agent holds the folder's lock now."""
    try:
        with only_agent(data_dir):
            return False
    except ConfigError:
        return True
    except OSError:
        return False


def draw(status: Status | None, *, is_running: bool) -> str:
    """The screen: one fact a line, problems in words."""
    if status is None:
        return "The agent has not run on this device yet. Start it with `linewarden-agent run`."
    lines = [
        (
            "Agent",
            f"running, pid {status.pid}"
            if is_running
            else f"NOT running, last seen {_ago(status.at)}",
        ),
        ("Device", f"{status.serial}  {status.device_id or '(not enrolled)'}"),
        ("Profile", status.profile or "unknown"),
        ("Server", f"{status.server_url}  {_contact(status)}"),
        ("Push", (status.push if is_running else None) or "none; the device polls"),
        ("Running", _release(status) if is_running else "nothing"),
        ("Previous", _short(status.previous_sha256)),
        ("Goal", f"{_short(status.goal_sha256)}  generation {status.goal_generation}"),
        ("Now", _now(status)),
        ("Last", status.last_ending or "no deployment yet"),
        ("Waiting", f"{status.reports_waiting} reports, {status.records_waiting} records"),
    ]
    if not status.journal_is_durable:
        lines.append(("PROBLEM", "the disk cannot be written: no update will begin"))
    return "\n".join(f"{name:<9} {text}" for name, text in lines)


def _contact(status: Status) -> str:
    if status.server_problem:
        return f"AWAY: {status.server_problem}"
    return (
        f"reached {_ago(status.last_contact_at)}" if status.last_contact_at else "not reached yet"
    )


def _release(status: Status) -> str:
    if status.running_sha256 is None:
        return "NOTHING: no release is running"
    return f"{_short(status.running_sha256)}  {status.running_release or ''}".rstrip()


def _now(status: Status) -> str:
    if status.step is None:
        return "nothing to do"
    return f"{status.step}" + (f", waiting: {status.step_problem}" if status.step_problem else "")


def _short(sha256: str | None) -> str:
    return sha256[:12] if sha256 else "none"


def _ago(moment: datetime) -> str:
    seconds = (datetime.now(timezone.utc) - moment).total_seconds()
    for unit, size in (("days", 86_400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{max(0.0, seconds):.0f} seconds ago"
