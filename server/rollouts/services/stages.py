"""Stages: opened, filled, cleared of those who left, ended."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import Q, QuerySet

from inference_core.contract.words import DeploymentPhase
from server.accounts.actors import SYSTEM
from server.fleet.models import Device
from server.lib import clock
from server.lib.states import move
from server.rollouts import planning
from server.rollouts.evidence import Evidence
from server.rollouts.models import TERMINAL, Deployment, Rollout, Stage
from server.rollouts.planning import Candidate
from server.rollouts.selectors.members import (
    certified,
    eligible_devices,
    is_offline,
    newcomers,
    room_in,
    targets_for,
)
from server.rollouts.services.deployments import end_deployment, write_deployment
from server.rollouts.states import STAGE, RolloutState, StageState

P = DeploymentPhase
NOT_ACTIVATED = tuple(
    map(
        str,
        (P.QUEUED, P.ACKNOWLEDGED, P.DOWNLOADING, P.VERIFIED, P.STAGED, P.WAITING_WINDOW),
    )
)
"""Phases in which the old release still runs untouched."""


def open_stage(*, stage: Stage, actor: str = SYSTEM) -> None:
    """Let devices in, as many as there are slots."""
    move(STAGE, stage, StageState.OPEN, actor=actor, opened_at=clock.now())
    fill_stage(stage)


def fill_stage(stage: Stage) -> int:
    """Offer the release to further devices of the stage; returns how many took a slot.

    A stage's size follows the group: who joins it takes part at the stage's own rate. Nothing
    is offered while the rollout is not running.
    """
    rollout = stage.rollout
    if rollout.state != RolloutState.RUNNING:
        return 0
    _resize(stage)
    count = min(room_in(stage), _free_slots(rollout))
    devices = _next_devices(rollout, count) if count > 0 else []
    targets = targets_for(rollout, devices)
    # Always in this order, so that two rollouts never wait for each other's devices in a circle.
    for device in sorted(devices, key=lambda device: device.pk):
        write_deployment(stage=stage, device=device, target=targets[device.pk])
    return len(devices)


def _resize(stage: Stage) -> None:
    devices = eligible_devices(stage.rollout)
    profiles = devices.order_by().values("profile").distinct().count()
    plans = [other.reach for other in stage.rollout.stages.order_by("index")]
    size = planning.plan_sizes(plans, devices.count(), profiles)[stage.index]
    if size != stage.size:
        stage.size = size
        stage.save(update_fields=["size"])


def _free_slots(rollout: Rollout) -> int:
    """Slots are for devices on their way: those that failed, or are offline, hold none."""
    busy = open_parts(rollout).exclude(is_offline(clock.now())).count()
    return rollout.rules.max_concurrent - busy


def _next_devices(rollout: Rollout, count: int) -> list[Device]:
    everyone = eligible_devices(rollout).values_list("pk", "profile__name")
    candidates = [Candidate(pk, profile) for pk, profile in everyone]
    ready = set(certified(rollout, newcomers(rollout)).values_list("pk", flat=True))
    order = planning.order_devices(candidates, salt=str(rollout.pk))
    chosen = [pk for pk in order if pk in ready][:count]
    found = Device.objects.in_bulk(chosen)
    return [found[pk] for pk in chosen]


def open_parts(rollout: Rollout) -> QuerySet[Deployment]:
    """Deployments of the rollout that have not ended."""
    parts = rollout.deployments.exclude(phase__in=TERMINAL)
    return parts.order_by("device_id")


def dismiss_leavers(rollout: Rollout) -> None:
    """Remove the parts of devices that left the group, or that are not trusted any more."""
    left = open_parts(rollout).exclude(device__in=eligible_devices(rollout))
    for part in left:
        end_deployment(
            deployment=part,
            phase=P.REMOVED,
            actor=SYSTEM,
            reason="The device left the group, or is no longer accepted.",
        )


def time_out_offline(stage: Stage, evidence: Evidence) -> None:
    """Apply the deadline policy to devices that nobody has heard of."""
    policy, now = stage.rollout.rules, clock.now()
    if policy.when_offline == "wait":
        return
    everyone = evidence.denominator + evidence.skipped
    may_skip = policy.max_skipped(everyone) - evidence.skipped
    deadline = now - timedelta(seconds=policy.deadline_s)
    # One that waits for its window is ready: its deadline runs from when it fell silent.
    is_waiting = Q(phase=P.WAITING_WINDOW, device__presence__last_seen_at__gte=deadline)
    parts = open_parts(stage.rollout).filter(is_offline(now), created_at__lt=deadline)
    late = list(parts.exclude(is_waiting))
    for part in late if policy.when_offline == "fail" else late[: max(0, may_skip)]:
        end_deployment(
            deployment=part,
            phase=P.TIMED_OUT,
            actor=SYSTEM,
            reason=f"Offline for longer than the {policy.deadline_s:g} s that the policy allows.",
        )


def settle_stage(stage: Stage, evidence: Evidence) -> None:
    """Soak once every device has an outcome; open again when another one is on its way."""
    unsettled = evidence.in_flight + evidence.offline + evidence.waiting
    if stage.state == StageState.OPEN and not unsettled and evidence.outcomes:
        move(STAGE, stage, StageState.SOAKING, actor=SYSTEM, soaking_since=clock.now())
    elif stage.state == StageState.SOAKING and unsettled:
        move(STAGE, stage, StageState.OPEN, actor=SYSTEM, soaking_since=None)


def withdraw(rollout: Rollout, *, actor: str, reason: str) -> None:
    """Take back every offer that has not been activated; what has been is left to finish."""
    for part in open_parts(rollout).filter(phase__in=NOT_ACTIVATED):
        end_deployment(
            deployment=part, phase=P.REMOVED, actor=actor, reason=reason, only_in=NOT_ACTIVATED
        )


def fail_stage(rollout: Rollout, *, actor: str, reason: str) -> None:
    """End the stage that is under way, if there is one. A stage that never opened stays waiting."""
    for stage in rollout.stages.filter(state__in=(StageState.OPEN, StageState.SOAKING)):
        move(STAGE, stage, StageState.FAILED, actor=actor, reason=reason, finished_at=clock.now())
