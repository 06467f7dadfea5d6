"""What one device should run now."""

from __future__ import annotations

from uuid import UUID

from django.conf import settings

from inference_core.contract.device import DeploymentRef, Goal, ProbationLimits, ShadowLimits
from inference_core.contract.release import TargetRef
from inference_core.contract.words import TERMINAL_PHASES
from server.builds.checks.device_reads import check_offer
from server.builds.device_reads import build_offer
from server.builds.models import ReleaseTarget
from server.builds.turn_reads import open_turn
from server.fleet.models import Device
from server.fleet.selectors import agent_release_of, config_of
from server.rollouts.models import Deployment, Desired
from server.rollouts.selectors.shadows import Shadow, shadow_of
from server.telemetry.selectors import wanted_logs


def goal_of(device: Device) -> Goal:
    """The device's goal; generation 0 and no release where nobody has wanted anything yet.

    A deployment that has ended is left out: then the goal is an order to be at the release, and
    a device that lost its journal can follow it without reporting to a closed deployment.
    """
    rows = Desired.objects.select_related("target", "deployment__rollout")
    desired = rows.filter(device=device).first()
    deployment = desired.deployment if desired else None
    if deployment is not None and deployment.phase in TERMINAL_PHASES:
        deployment = None
    shadow, agent = _shadow(device, desired), agent_release_of(device)
    turn = open_turn(device)
    return Goal(
        generation=desired.generation if desired else 0,
        release=_target_ref(desired.target if desired else None),
        deployment=deployment and DeploymentRef(id=deployment.pk, version=deployment.version),
        variant=device.variant or None,
        shadow=_target_ref(shadow.target) if shadow else None,
        shadow_limits=shadow.limits if shadow else ShadowLimits(),
        config=config_of(device),
        probation=_probation(deployment),
        poll_s=settings.ENV.poll_s,
        window=device.line.window,
        broker=settings.ENV.push_broker(),
        agent=agent.ref if agent else None,
        wanted_logs=wanted_logs(device),
        build=build_offer(turn),
        check=check_offer(turn),
    )


def generation_of(device_id: UUID | str) -> int:
    """How often the device's goal has changed."""
    rows = Desired.objects.filter(device_id=device_id).values_list("generation", flat=True)
    return rows.first() or 0


def _shadow(device: Device, desired: Desired | None) -> Shadow | None:
    """What looks on; nothing where the device decides by that very release already."""
    shadow = shadow_of(device)
    is_same = shadow and desired and shadow.target.pk == desired.target_id
    return None if is_same else shadow


def _target_ref(target: ReleaseTarget | None) -> TargetRef | None:
    if target is None:
        return None
    return TargetRef(path=target.path, sha256=target.sha256, length=target.length)


def _probation(deployment: Deployment | None) -> ProbationLimits:
    if deployment is None:
        return ProbationLimits()
    return ProbationLimits.model_validate(deployment.rollout.rules.probation.model_dump())
