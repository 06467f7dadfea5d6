"""Devices that may build and judge for their own profile, and why none of them does."""

from __future__ import annotations

from django.db.models import QuerySet

from server.fleet.models import Device, HardwareProfile
from server.fleet.states import DeviceState

WAITS_FOR_A_WINDOW = (
    "Waits for a device that is online, in its line's update window, and without a rollout."
)


def willing_devices(profile: HardwareProfile) -> QuerySet[Device]:
    """Accepted devices of ``profile`` that say that they may build."""
    return _accepted(profile).filter(presence__may_build=True)


def why_nobody_is_willing(profile: HardwareProfile) -> str:
    """A sentence with the remedy; empty where some device is willing."""
    if willing_devices(profile).exists():
        return ""
    if not _accepted(profile).exists():
        return f"No device of {profile.name} is accepted yet."
    return (
        f"No device of {profile.name} may build: set may_build on one of them, "
        "see the page on devices."
    )


def why_it_waits(profile: HardwareProfile) -> str:
    """What work for a device of ``profile`` waits for, as a sentence for a person."""
    return why_nobody_is_willing(profile) or WAITS_FOR_A_WINDOW


def _accepted(profile: HardwareProfile) -> QuerySet[Device]:
    return Device.objects.filter(profile=profile, state=DeviceState.ACCEPTED)
