"""Which devices are heard of, as words for a page and as conditions for one SQL query."""

from __future__ import annotations

from datetime import datetime

from django.db.models import Q

from server.fleet.models import Device
from server.fleet.selectors import PresenceWord, has_presence, presence
from server.fleet.states import DeviceState


def presence_of(device: Device, now: datetime) -> str:
    """``online``, ``stale`` or ``offline``; ``never_seen`` before the first poll."""
    return str(presence(device, now)) if hasattr(device, "presence") else "never_seen"


def conditions(now: datetime) -> dict[str, Q]:
    """Conditions on Device by the word of the filter; presence counts trusted devices only."""
    trusted = Q(state__in=(DeviceState.ACCEPTED, DeviceState.QUARANTINED))
    return {
        **{str(word): trusted & has_presence(word, now) for word in PresenceWord},
        "pending": Q(state=DeviceState.PENDING),
        "quarantined": Q(state=DeviceState.QUARANTINED),
    }
