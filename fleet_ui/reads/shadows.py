"""What releases in the shadow would have said."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from fleet_ui.reads.devices import release_names
from server.fleet.models import Device
from server.rollouts.models import Rollout
from server.rollouts.selectors.shadows import shadow_of
from server.telemetry.selectors import ShadowFigures, shadow_figures, shadow_hours

DAYS = 7


@dataclass(frozen=True)
class ShadowRow:
    """Two releases on the same frames; a digest stands for a name that is not known here."""

    release: str
    shadow: str
    figures: ShadowFigures


def shadows_on(device: Device, now: datetime) -> list[ShadowRow]:
    """Everything that looked on at this device within the last days."""
    devices = Device.objects.filter(pk=device.pk)
    return _rows(shadow_figures(shadow_hours(devices, since=now - timedelta(days=DAYS))))


def shadows_before(rollout: Rollout) -> list[ShadowRow]:
    """What the rollout's release said as a shadow on the devices that it is for."""
    if rollout.release is None:
        return []
    digests = rollout.release.targets.values("sha256")
    return _rows(shadow_figures(shadow_hours(rollout.group.devices.all(), shadows=digests)))


def wanted_shadow(device: Device) -> str:
    """Name of the release that should look on; empty for none."""
    shadow = shadow_of(device)
    return shadow.target.release.name if shadow else ""


def _rows(found: list[ShadowFigures]) -> list[ShadowRow]:
    names = release_names({d for f in found for d in (f.release_sha256, f.shadow_sha256)})
    return [
        ShadowRow(
            names.get(figures.release_sha256, figures.release_sha256[:12]),
            names.get(figures.shadow_sha256, figures.shadow_sha256[:12]),
            figures,
        )
        for figures in found
    ]
