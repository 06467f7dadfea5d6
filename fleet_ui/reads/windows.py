"""Update windows as a person says them."""

from __future__ import annotations

from collections.abc import Sequence

from inference_core.contract.window import WindowSlot

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def slot_in_words(slot: WindowSlot) -> str:
    """``Mon–Fri from 22:00 for 4 h``, by the clock on the wall."""
    hours, minutes = divmod(slot.duration_min, 60)
    parts = ((hours, "h"), (minutes, "min"))
    duration = " ".join(f"{count} {unit}" for count, unit in parts if count)
    return f"{_days(sorted(set(slot.weekdays)))} from {slot.starts_at} for {duration}"


def _days(days: Sequence[int]) -> str:
    if len(days) == len(_DAYS):
        return "every day"
    is_run = len(days) > 2 and days[-1] - days[0] == len(days) - 1
    if is_run:
        return f"{_DAYS[days[0]]}–{_DAYS[days[-1]]}"
    return ", ".join(_DAYS[day] for day in days)
