"""Answers to devices that are known and may not enter."""

from __future__ import annotations

from server.fleet.models import Device
from server.fleet.states import DeviceState
from server.lib.errors import Conflict, Forbidden


class Pending(Forbidden):
    """An admin has not accepted the device yet; ask again later."""

    code = "pending"


class Quarantined(Forbidden):
    """Cut off for now by an admin; ask again later."""

    code = "quarantined"


class Revoked(Forbidden):
    """Never again."""

    code = "revoked"


class KeyWaits(Conflict):
    """The serial belongs to another key; an admin must accept the new one."""

    code = "pending"


_REFUSALS: dict[str, tuple[type[Forbidden], str]] = {
    DeviceState.PENDING: (Pending, "This device waits for an admin to accept it."),
    DeviceState.QUARANTINED: (Quarantined, "This device is quarantined; ask an admin why."),
    DeviceState.REVOKED: (Revoked, "This device has been revoked."),
}


def require_accepted(device: Device) -> None:
    """Raise what the state of ``device`` calls for; nothing where it is accepted."""
    if device.state != DeviceState.ACCEPTED:
        refusal, sentence = _REFUSALS[device.state]
        raise refusal(sentence)
