"""States of a device."""

from __future__ import annotations

from django.db import models

from server.lib.states import Machine


class DeviceState(models.TextChoices):
    """How far the server trusts a device. Presence is derived, never stored as a state."""

    PENDING = "pending"
    ACCEPTED = "accepted"
    QUARANTINED = "quarantined"
    REVOKED = "revoked"


DEVICE = Machine(
    "device",
    {
        DeviceState.PENDING: frozenset({DeviceState.ACCEPTED, DeviceState.REVOKED}),
        DeviceState.ACCEPTED: frozenset(
            {DeviceState.PENDING, DeviceState.QUARANTINED, DeviceState.REVOKED}
        ),
        DeviceState.QUARANTINED: frozenset(
            {DeviceState.PENDING, DeviceState.ACCEPTED, DeviceState.REVOKED}
        ),
        DeviceState.REVOKED: frozenset(),
    },
)
