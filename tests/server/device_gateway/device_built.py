"""A profile that its own devices build for."""

from __future__ import annotations

from server.fleet.building import set_building
from server.fleet.models import BuiltOn, HardwareProfile

PROFILE = "x86-onnxruntime"


def build_on_devices(profile: HardwareProfile, *, needs_approval: bool = True) -> None:
    """As an admin says so."""
    set_building(
        profile=profile,
        built_on=BuiltOn.DEVICE,
        needs_approval=needs_approval,
        reason="There is no twin.",
        actor="user:ada",
    )
