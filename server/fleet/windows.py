"""When a line can bear that its devices change their release."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo, available_timezones

from django.db import transaction

from inference_core.contract.window import UpdateWindow, WindowSlot
from server.accounts import audit
from server.fleet.models import Line
from server.fleet.services import announce
from server.lib.errors import Invalid


@transaction.atomic
def set_update_window(*, line: Line, window: UpdateWindow | None, actor: str) -> None:
    """Let devices of ``line`` activate within ``window`` only; None lifts it.

    Raises Invalid for a time zone that this server does not know. Devices learn of it with
    their next poll; what is activating already goes on.
    """
    if window is not None and window.time_zone not in available_timezones():
        raise Invalid(f"There is no time zone {window.time_zone!r}; use a name of IANA's list.")
    before, line.update_window = line.update_window, window and window.model_dump(mode="json")
    line.save(update_fields=["update_window"])
    audit.record(
        actor=actor,
        action="set_update_window",
        subject="line",
        subject_id=f"{line.site.name}/{line.name}",
        before=before,
        after=line.update_window,
    )
    announce(line.devices.values_list("pk", flat=True))


def is_open(window: UpdateWindow | None, now: datetime) -> bool:
    """Whether devices of the line may be disturbed at ``now``, by the clock on their wall."""
    if window is None:
        return True
    local = now.astimezone(ZoneInfo(window.time_zone))
    return any(_covers(slot, local) for slot in window.slots)


def _covers(slot: WindowSlot, local: datetime) -> bool:
    """Also a slot that began yesterday and runs past midnight."""
    for day in (local.date(), local.date() - timedelta(days=1)):
        begins = datetime.combine(day, time.fromisoformat(slot.starts_at), local.tzinfo)
        lasts = timedelta(minutes=slot.duration_min)
        # Aware moments of one zone subtract by the wall's clock; an hour may be left out of it.
        if day.weekday() in slot.weekdays and timedelta() <= _between(begins, local) < lasts:
            return True
    return False


def _between(begins: datetime, now: datetime) -> timedelta:
    return now.astimezone(UTC) - begins.astimezone(UTC)
