"""Which devices are heard of, as words for a page and as conditions for one SQL query."""

from __future__ import annotations

from datetime import datetime

from django.db.models import Q

from server.fleet.models import Device
from server.fleet.selectors import presence, presence_limits
from server.fleet.states import DeviceState


def presence_of(device: Device, now: datetime) -> str:
    """``online``, ``stale`` or ``offline``; ``never_seen`` before the first poll."""
    return str(presence(device, now)) if hasattr(device, "presence") else "never_seen"


def conditions(now: datetime) -> dict[str, Q]:
    """Conditions on Device by the word of the filter; presence counts trusted devices only."""
    online, stale = presence_limits(now)
    trusted = Q(state__in=(DeviceState.ACCEPTED, DeviceState.QUARANTINED))
    seen = "presence__last_seen_at"
    return {
        "online": trusted & Q(**{f"{seen}__gte": online}),
        "stale": trusted & Q(**{f"{seen}__lt": online, f"{seen}__gte": stale}),
        "offline": trusted & (Q(**{f"{seen}__lt": stale}) | Q(presence__isnull=True)),
        "pending": Q(state=DeviceState.PENDING),
        "quarantined": Q(state=DeviceState.QUARANTINED),
    }
