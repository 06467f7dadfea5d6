"""Whether a production line can bear a change now."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, time, timedelta, timezone, tzinfo

from device_agent.admission import clock_problem
from device_agent.errors import Unavailable
from inference_core.contract.window import UpdateWindow, WindowSlot

_RETRY_S = 3600.0


def is_open(window: UpdateWindow | None, time_floor: datetime | None) -> bool:
    """Whether a release may be activated now; closed also where nobody can tell."""
    now = datetime.now(timezone.utc)
    try:
        return window is None or (
            clock_problem(now, time_floor) is None and seconds_until_open(window, now) == 0
        )
    except Unavailable:  # the step that waits says why
        return False


def seconds_until_open(window: UpdateWindow, now: datetime) -> float:
    """0 while a slot is open, else the seconds until the next one begins.

    Slots begin by the clock on the wall and last their minutes, also in the night in which that
    clock is changed: one that begins in an hour that is left out begins when it would have been.
    ``Unavailable``: this box does not know the time zone.
    """
    zone = _zone(window.time_zone)
    now = now.astimezone(timezone.utc)
    waits = [
        max(0.0, (begins - now).total_seconds())
        for slot in window.slots
        for begins, ends in _occurrences(slot, zone, now)
        if now < ends
    ]
    return min(waits)


def _occurrences(
    slot: WindowSlot, zone: tzinfo, now: datetime
) -> Iterator[tuple[datetime, datetime]]:
    """Beginnings and ends in UTC, from one that may have begun yesterday to a week ahead."""
    at = time.fromisoformat(slot.starts_at)
    today = now.astimezone(zone).date()
    for offset in range(-1, 8):
        day = today + timedelta(days=offset)
        if day.weekday() in slot.weekdays:
            begins = datetime.combine(day, at, zone).astimezone(timezone.utc)
            yield begins, begins + timedelta(minutes=slot.duration_min)


def _zone(name: str) -> tzinfo:
    if name == "UTC":
        return timezone.utc
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError  # most lines have no window

    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, OSError, ValueError) as error:
        raise Unavailable(
            f"this box knows no time zone {name!r}; install tzdata, or name another at the server",
            delay_s=_RETRY_S,
        ) from error
