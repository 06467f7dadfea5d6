"""UpdateWindow: when a production line can bear that its release is changed."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field, StringConstraints, field_validator

from inference_core.contract.base import Message

_TIME_ZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*")


class WindowSlot(Message):
    """A stretch of time that comes back every week. It may run past midnight."""

    weekdays: tuple[Annotated[int, Field(ge=0, le=6)], ...] = Field(
        default=(0, 1, 2, 3, 4, 5, 6), min_length=1, max_length=7, description="0 is Monday."
    )
    starts_at: Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
    duration_min: int = Field(ge=1, le=24 * 60)


class UpdateWindow(Message):
    """Downloads go on at any time; activation waits for a slot, by the clock on the wall."""

    time_zone: str = Field(default="UTC", max_length=60, description="IANA, e.g. Europe/Berlin.")
    slots: tuple[WindowSlot, ...] = Field(min_length=1, max_length=50)

    @field_validator("time_zone")
    @classmethod
    def _is_a_name(cls, name: str) -> str:
        """Zone data differ between machines: each side looks the name up where it needs it."""
        if not _TIME_ZONE.fullmatch(name):
            raise ValueError(f"{name!r} is no IANA time zone")
        return name
