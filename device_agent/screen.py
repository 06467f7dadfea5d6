"""The status as a screen for a technician at the box: what runs, what waits, what to do."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

from device_agent.status import LastDeployment, Status
from inference_core.contract.telemetry import Health
from inference_core.contract.words import DeploymentPhase

WIDTH = 80
_NAME_WIDTH = 10
_BAR_WIDTH = 20
_STALE = timedelta(seconds=10)
"""The agent writes every 2 s. Where it runs and cannot, its disk is full or read-only."""

_BOLD, _RED, _GREEN, _YELLOW, _END = "\033[1m", "\033[31m", "\033[32m", "\033[33m", "\033[0m"
_COLOURS = {"ok": _GREEN, "bad": _RED, "wait": _YELLOW, "": ""}

Line = tuple[str, str, str]
"""Name, text, and how it is: ok, bad, wait or plain."""


def draw(
    status: Status | None, *, is_running: bool, is_coloured: bool = False, width: int = WIDTH
) -> str:
    """Sections of named lines, none wider than ``width``; problems and their mending first."""
    if status is None:
        return "The agent has not run on this device yet. Start it with `linewarden-agent run`."
    sections = {
        "": [_agent(status, is_running), *_problems(status, is_running)],
        "DEVICE": list(_device(status, is_running)),
        "INFERENCE": list(_inference(status, is_running)),
        "DEPLOYMENT": list(_deployment(status)),
        "HEALTH": list(_health(status.health)),
    }
    drawn = []
    for title, lines in sections.items():
        if lines:
            drawn.append([*([_paint(title, _BOLD, is_coloured)] if title else [])])
            drawn[-1] += [row for line in lines for row in _rows(line, is_coloured, width)]
    return "\n\n".join("\n".join(section) for section in drawn)


def _agent(status: Status, is_running: bool) -> Line:
    version = f"{status.agent_version or 'unknown version'}"
    if status.agent_sha256:
        version += f" ({status.agent_sha256[:12]}{', on trial' if status.is_on_trial else ''})"
    if not is_running:
        return ("Agent", f"NOT running, last seen {_ago(status.at)}; was {version}", "bad")
    since = f" since {_when(status.started_at)}" if status.started_at else ""
    return ("Agent", f"running{since}, pid {status.pid}, {version}", "ok")


def _problems(status: Status, is_running: bool) -> Iterator[Line]:
    """Each with what to do next."""
    if not is_running:
        yield _problem("the agent does not run: `systemctl start linewarden-agent`")
    elif datetime.now(timezone.utc) - status.at > _STALE:
        yield _problem(
            f"told {_ago(status.at)}: since then the disk cannot be written. Look at `df` and "
            "`dmesg`"
        )
    if not status.journal_is_durable:
        yield _problem("the disk cannot be written: no update will begin. Free or replace it")
    if status.device_id is None:
        yield _problem("not enrolled: `linewarden-agent enrol --token-file FILE`")
    if status.server_problem and status.is_refused:
        yield _problem("the server refuses this box, see below. Its administrator can say why")
    elif status.server_problem:
        yield _problem("the server is away. Inference goes on; look at network and address")
    is_on_its_way = status.step is not None and status.step_problem is None
    if is_running and status.running_sha256 is None and status.goal_sha256 and not is_on_its_way:
        yield _problem("nothing judges parts: `linewarden-agent logs --child` says why")
    yield from _problems_around(status)


def _problems_around(status: Status) -> Iterator[Line]:
    """Of what the box is connected to."""
    for camera in status.cameras:
        if camera.state in ("no_input", "corrupt_image"):
            yield _problem(f"camera {camera.name}: no usable picture. Look at cable and power")
    if status.health and status.health.throttled:
        reasons = ", ".join(status.health.throttle_reasons) or "no reason told"
        yield _problem(f"the board slows itself down ({reasons}): look at cooling and supply")


def _device(status: Status, is_running: bool) -> Iterator[Line]:
    yield ("Name", f"{status.serial}  {status.device_id or '(not enrolled)'}", "")
    yield ("Profile", status.profile or "unknown", "")
    yield ("Server", f"{status.server_url}", "")
    if status.server_problem:
        how = "REFUSES" if status.is_refused else "AWAY"
        yield ("", f"{how}: {status.server_problem}", "bad")
    elif status.last_contact_at:
        yield ("", f"reached {_ago(status.last_contact_at)}", "ok")
    else:
        yield ("", "not reached yet", "wait")
    push = status.push if is_running else "none, while the agent is stopped"
    yield ("Push", push or "none; the device polls", "")
    if status.variant:
        yield ("Variant", status.variant, "")
    waits = f"{status.reports_waiting} reports, {status.records_waiting} records to be sent"
    yield ("Waiting", waits, "")


def _inference(status: Status, is_running: bool) -> Iterator[Line]:
    if not is_running:
        yield ("Running", "nothing, while the agent is stopped", "bad")
    elif status.running_sha256 is None:
        yield ("Running", "NOTHING: no release is running", "bad" if status.goal_sha256 else "wait")
    else:
        name = status.running_release or ""
        yield ("Running", f"{_short(status.running_sha256)}  {name}".rstrip(), "ok")
    if is_running and status.shadow_sha256:
        name = status.shadow_release or ""
        yield ("Shadow", f"{_short(status.shadow_sha256)}  {name}".rstrip(), "")
    if is_running and status.build:
        share = _bar(status.build.share)
        name, step = f"{status.build.what} {status.build.build}", status.build.step
        yield (status.build.what.capitalize(), f"{share}  {step} ({name})", "wait")
    yield ("Previous", _short(status.previous_sha256), "")
    for camera in status.cameras:
        state = camera.state or "unknown"
        how = {"ok": "ok", "unknown": ""}.get(state, "bad")
        text = f"{camera.name} ({camera.role}): {state.replace('_', ' ')}  {camera.address}"
        yield ("Camera", text, how if is_running else "")


def _deployment(status: Status) -> Iterator[Line]:
    yield ("Goal", f"{_short(status.goal_sha256)}  generation {status.goal_generation or 0}", "")
    if status.window_opens_at:
        opens = _when(status.window_opens_at)
        yield ("Now", f"ready; waits for its line's update window, which opens {opens}", "wait")
    elif status.step:
        yield ("Now", status.step.replace("_", " "), "wait")
    else:
        yield ("Now", "nothing to do", "")
    if status.step_problem:
        yield ("", f"waits: {status.step_problem}", "bad")
    if status.download:
        yield ("Download", _progress(status.download.done, status.download.total), "wait")
        yield ("", status.download.path, "")
    yield from _last(status.last)


def _last(last: LastDeployment | None) -> Iterator[Line]:
    if last is None:
        yield ("Last", "no deployment yet", "")
        return
    how = "" if last.phase is DeploymentPhase.COMMITTED else "bad"
    yield ("Last", f"{_short(last.sha256)}  {last.phase} {_when(last.at)}", how)
    if last.detail:
        yield ("", last.detail, "")


def _health(health: Health | None) -> Iterator[Line]:
    if health is None:
        return
    if health.temperature_c is not None:
        text = f"{health.temperature_c:.0f} °C"
        yield ("Heat", text + ("" if health.throttled is None else _throttling(health)), "")
    figures = {
        "processor": _percent(health.cpu_share),
        "GPU": _percent(health.gpu_share),
        "memory": _percent(health.memory_used_share),
        "power": f"{health.power_w:.1f} W" if health.power_w is not None else None,
    }
    yield ("Load", ", ".join(f"{name} {text}" for name, text in figures.items() if text), "")
    if health.disk_free_bytes is not None:
        yield ("Disk", f"{_size(health.disk_free_bytes)} free", "")


def _throttling(health: Health) -> str:
    return ", THROTTLED" if health.throttled else ", not throttled"


def _problem(text: str) -> Line:
    return ("PROBLEM", text, "bad")


def _rows(line: Line, is_coloured: bool, width: int) -> list[str]:
    """A long text goes on below itself: a technician must be able to read all of an error."""
    name, text, how = line
    printable = "".join(letter if letter.isprintable() else " " for letter in text)
    rows = textwrap.wrap(printable, width - _NAME_WIDTH, break_long_words=True) or [""]
    painted = [_paint(row, _COLOURS[how], is_coloured) for row in rows]
    return [f"{name if at == 0 else '':<{_NAME_WIDTH}}{row}" for at, row in enumerate(painted)]


def _paint(text: str, colour: str, is_coloured: bool) -> str:
    return f"{colour}{text}{_END}" if is_coloured and colour else text


def _progress(done: int, total: int) -> str:
    bar = _bar(done / total if total else 1.0)
    return f"{bar}  {_size(done)} of {_size(total)}"


def _bar(share: float) -> str:
    filled = round(share * _BAR_WIDTH)
    return f"[{'#' * filled}{'.' * (_BAR_WIDTH - filled)}] {share:.0%}"


def _percent(share: float | None) -> str | None:
    return None if share is None else f"{share:.0%}"


def _size(count: int) -> str:
    size, unit = float(count), "bytes"
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            break
        size /= 1000
    return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"


def _short(sha256: str | None) -> str:
    return sha256[:12] if sha256 else "none"


def _when(moment: datetime) -> str:
    return f"{moment.astimezone():%Y-%m-%d %H:%M}"


def _ago(moment: datetime) -> str:
    seconds = (datetime.now(timezone.utc) - moment).total_seconds()
    for unit, size in (("days", 86_400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{max(0.0, seconds):.0f} seconds ago"
