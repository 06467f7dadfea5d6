"""When a line can bear a change: by the clock on the wall, also in the nights it is changed."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_agent.errors import Unavailable
from device_agent.windows import is_open, seconds_until_open
from inference_core.contract.window import UpdateWindow, WindowSlot

BERLIN = ZoneInfo("Europe/Berlin")
NIGHTS = UpdateWindow(
    time_zone="Europe/Berlin", slots=(WindowSlot(starts_at="22:00", duration_min=480),)
)


def _berlin(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN)


@pytest.mark.parametrize(
    ("now", "wait_s"),
    [
        ("2026-11-23T21:59:00", 60),
        ("2026-11-23T22:00:00", 0),
        ("2026-11-24T05:59:59", 0),  # past midnight it is still the evening's slot
        ("2026-11-24T06:00:00", 16 * 3600),
    ],
)
def test_a_night_shift_window_runs_past_midnight(now: str, wait_s: float) -> None:
    assert seconds_until_open(NIGHTS, _berlin(now)) == wait_s


def test_a_weekend_slot_is_waited_for_all_week() -> None:
    window = UpdateWindow(slots=(WindowSlot(weekdays=(6,), starts_at="03:30", duration_min=30),))
    monday = datetime(2026, 11, 23, tzinfo=timezone.utc)
    opens = monday + timedelta(seconds=seconds_until_open(window, monday))
    assert opens == datetime(2026, 11, 29, 3, 30, tzinfo=timezone.utc)
    assert seconds_until_open(window, opens + timedelta(minutes=30)) == 7 * 86400 - 1800


def test_in_the_night_of_summer_time_a_slot_lasts_its_minutes() -> None:
    """2026-03-29: the clock jumps from 2:00 to 3:00, and 8 hours later it is 7:00."""
    assert seconds_until_open(NIGHTS, _berlin("2026-03-29T06:59:59")) == 0
    assert seconds_until_open(NIGHTS, _berlin("2026-03-29T07:00:00")) == 15 * 3600


def test_a_slot_in_the_hour_that_is_left_out_begins_when_it_would_have_been() -> None:
    window = UpdateWindow(
        time_zone="Europe/Berlin", slots=(WindowSlot(starts_at="02:30", duration_min=15),)
    )
    assert seconds_until_open(window, _berlin("2026-03-29T01:59:59")) == 30 * 60 + 1
    assert seconds_until_open(window, _berlin("2026-03-29T03:40:00")) == 0


def test_a_zone_that_this_box_does_not_know_keeps_the_window_closed_and_says_why() -> None:
    window = UpdateWindow(
        time_zone="Mars/Olympus", slots=(WindowSlot(starts_at="00:00", duration_min=1440),)
    )
    with pytest.raises(Unavailable, match="install tzdata"):
        seconds_until_open(window, datetime.now(timezone.utc))
    assert not is_open(window, None)


def test_a_clock_that_cannot_be_right_opens_no_window() -> None:
    always = UpdateWindow(slots=(WindowSlot(starts_at="00:00", duration_min=1440),))
    assert is_open(always, None)
    assert not is_open(always, datetime.now(timezone.utc) + timedelta(days=1))


slots = st.builds(
    WindowSlot,
    weekdays=st.sets(st.integers(0, 6), min_size=1).map(lambda days: tuple(sorted(days))),
    starts_at=st.times().map(lambda at: at.strftime("%H:%M")),
    duration_min=st.integers(1, 1440),
)
windows = st.builds(
    UpdateWindow,
    time_zone=st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kolkata", "America/Los_Angeles"]),
    slots=st.lists(slots, min_size=1, max_size=4).map(tuple),
)
_FIRST = datetime(2026, 1, 1, tzinfo=timezone.utc)
moments = st.integers(0, 2 * 366 * 86400).map(lambda seconds: _FIRST + timedelta(seconds=seconds))


@given(windows, moments)
def test_after_the_wait_it_is_open_and_a_moment_before_it_is_not(
    window: UpdateWindow, now: datetime
) -> None:
    wait_s = seconds_until_open(window, now)
    assert 0 <= wait_s <= 8 * 86400
    opens = now + timedelta(seconds=wait_s)
    assert seconds_until_open(window, opens) == 0
    if wait_s > 1:
        assert 0 < seconds_until_open(window, opens - timedelta(seconds=1)) <= 1
