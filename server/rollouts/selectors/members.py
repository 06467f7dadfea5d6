"""Which devices a rollout is for, and what each of them is to run."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from django.db.models import F, Q, QuerySet

from inference_core.contract.words import DeploymentPhase
from server.builds.models import ReleaseTarget
from server.fleet.models import Device
from server.fleet.selectors import presence_limits
from server.fleet.states import DeviceState
from server.rollouts.evidence import INCONCLUSIVE
from server.rollouts.models import TERMINAL, Deployment, Rollout, Stage

LEFT = (str(DeploymentPhase.SUPERSEDED), str(DeploymentPhase.REMOVED))
"""Phases that leave every denominator."""

_MAY_HAVE_RUN = (
    DeploymentPhase.ACTIVATING,
    DeploymentPhase.PROBATION,
    DeploymentPhase.COMMITTED,
    # What the undoing rollout supersedes stays among its devices.
    DeploymentPhase.SUPERSEDED,
)


def revertible_deployments(rollout: Rollout) -> QuerySet[Deployment]:
    """Parts of ``rollout`` that may have brought a device to its release from another one."""
    parts = rollout.deployments.filter(previous__isnull=False, phase__in=map(str, _MAY_HAVE_RUN))
    return parts.exclude(previous=F("target"))


def eligible_devices(rollout: Rollout) -> QuerySet[Device]:
    """Accepted devices that the rollout is for: those of its group as it is now.

    A rollout that undoes another is for the devices that the other one changed, wherever they
    have been moved to since.
    """
    accepted = Device.objects.filter(state=DeviceState.ACCEPTED)
    if rollout.undoes is None:
        return accepted.filter(memberships__group=rollout.group_id)
    return accepted.filter(deployments__in=revertible_deployments(rollout.undoes))


def devices_in_rollouts() -> set[UUID]:
    """Devices with a deployment that has not ended: not to be burdened with anything else."""
    return set(Deployment.objects.exclude(phase__in=TERMINAL).values_list("device_id", flat=True))


def targets_for(rollout: Rollout, devices: Sequence[Device]) -> dict[UUID, ReleaseTarget]:
    """What each device is to run; a device without a signed release for its profile is absent."""
    if rollout.undoes is None:
        signed = ReleaseTarget.objects.filter(release=rollout.release_id)
        by_profile = {target.profile_id: target for target in signed}
        return {d.pk: by_profile[d.profile_id] for d in devices if d.profile_id in by_profile}
    parts = revertible_deployments(rollout.undoes).filter(device__in=devices)
    return {
        part.device_id: part.previous
        for part in parts.select_related("previous")
        if part.previous is not None
    }


def is_offline(now: datetime) -> Q:
    """Of a deployment: its device has not been heard of for longer than a restart takes."""
    _, stale_since = presence_limits(now)
    return Q(device__presence=None) | Q(device__presence__last_seen_at__lt=stale_since)


def newcomers(rollout: Rollout) -> QuerySet[Device]:
    """Eligible devices that have never had a part in ``rollout``: each gets one chance."""
    return eligible_devices(rollout).exclude(pk__in=rollout.deployments.values("device"))


def certified(rollout: Rollout, devices: QuerySet[Device]) -> QuerySet[Device]:
    """Those of ``devices`` for which there is something signed to run."""
    if rollout.undoes is not None:
        return devices
    return devices.filter(profile__release_targets__release=rollout.release_id)


def room_in(stage: Stage) -> int:
    """How many more devices the stage is to take in, whether or not there is a slot for them.

    The last stage takes everybody. An earlier one counts those that failed or have left the
    group as taken: a bad release must not eat its way through the group one device at a time.
    Who gave no verdict, and was then taken out of the group, makes room for another.
    """
    waiting = newcomers(stage.rollout).count()
    if stage.reach.share == 1.0:
        return waiting
    parts = stage.rollout.deployments.exclude(phase__in=LEFT)
    left = parts.filter(cause__in=INCONCLUSIVE).exclude(device__in=eligible_devices(stage.rollout))
    return min(waiting, max(0, stage.size - (parts.count() - left.count())))
