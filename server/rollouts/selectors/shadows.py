"""Which release runs in whose shadow, and what it would have said."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from django.db.models import QuerySet

from inference_core.contract.device import ShadowLimits
from server.accounts.models import Role
from server.builds.models import ReleaseTarget
from server.builds.selectors import release_target
from server.fleet.models import Device
from server.fleet.selectors import Caller, groups_within
from server.lib.errors import Forbidden, NotFound
from server.rollouts.models import ShadowRun
from server.telemetry.selectors import ShadowFigures, shadow_figures, shadow_hours


@dataclass(frozen=True)
class Shadow:
    """What one device runs in the shadow, and what that may cost."""

    target: ReleaseTarget
    limits: ShadowLimits


def shadow_of(device: Device) -> Shadow | None:
    """The newest run of its groups, where it is signed for the device's profile."""
    runs = ShadowRun.objects.filter(ended_at=None, group__devices=device).select_related("release")
    run = runs.first()
    target = release_target(run.release, device.profile) if run else None
    return Shadow(target, run.limits) if run and target else None


def shadow_runs_for(user: Caller, role: Role = Role.VIEWER) -> QuerySet[ShadowRun]:
    """Runs on groups whose every device ``user`` may see, the newest first."""
    runs = ShadowRun.objects.select_related("group", "release")
    return runs.filter(group__in=groups_within(user, role))


def shadow_run_for(user: Caller, run_id: UUID, role: Role = Role.VIEWER) -> ShadowRun:
    """One run; NotFound outside the scope, Forbidden where only the role is missing."""
    run = shadow_runs_for(user, role).filter(pk=run_id).first()
    if run is not None:
        return run
    if shadow_runs_for(user).filter(pk=run_id).exists():
        raise Forbidden(f"This needs the role {role.value} at every site of the group.")
    raise NotFound("There is no such shadow in your scope.")


def figures_of_run(run: ShadowRun) -> list[ShadowFigures]:
    """What the run has shown on its group's devices, by the release that it stood beside."""
    hours = shadow_hours(
        run.group.devices.all(),
        since=run.started_at,
        until=run.ended_at,
        shadows=run.release.targets.values("sha256"),
    )
    return shadow_figures(hours)
