"""What people decide about a rollout."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from django.db import IntegrityError, transaction
from django.db.models import Max

from server.builds.selectors import missing_artifacts
from server.fleet.models import Device, Group
from server.lib import clock
from server.lib.errors import Conflict, Invalid
from server.registry.models import Release
from server.rollouts import planning
from server.rollouts.models import Rollout, Stage
from server.rollouts.policy import UNLIMITED, ErrorLimit, RolloutPolicy, StagePlan
from server.rollouts.selectors.members import eligible_devices, revertible_deployments
from server.rollouts.services.moves import move_rollout, record
from server.rollouts.services.stages import fail_stage, withdraw
from server.rollouts.states import ROLLOUT, RolloutState

MAX_NAMED_DEVICES = 100
MAX_REASON = 2000
_WHOLE = StagePlan(share=1.0)


@transaction.atomic
def create_rollout(
    *,
    name: str,
    release: Release,
    group: Group,
    stages: Sequence[StagePlan],
    policy: RolloutPolicy,
    actor: str,
    start: bool = False,
) -> Rollout:
    """A draft of a plan to bring ``group`` to ``release``.

    Raises Invalid for stages that cannot be, an empty group, a policy that no stage could meet,
    and where a device lacks a certified artifact: ``missing`` then names device and reason.
    """
    planning.check_stages(stages)
    rollout = Rollout(name=name, release=release, group=group)
    devices = list(eligible_devices(rollout).select_related("profile").order_by("serial"))
    if not devices:
        raise Invalid(f"The group {group.name!r} has no accepted device.")
    profiles = len({device.profile_id for device in devices})
    sizes = planning.plan_sizes(stages, len(devices), profiles)
    planning.check_sizes(sizes, len(devices))
    _check_min_devices(sizes, policy)
    check_certified(release, devices)
    _write(rollout, stages, sizes, policy, actor)
    if start:
        start_rollout(rollout=rollout, actor=actor)
    return rollout


def _check_min_devices(sizes: Sequence[int], policy: RolloutPolicy) -> None:
    for number, (before, size) in enumerate(pairwise([0, *sizes]), start=1):
        if size - before < policy.min_devices:
            raise Invalid(
                f"Stage {number} takes in {size - before} of the group's devices, but the policy "
                f"wants {policy.min_devices} to report: it could never pass."
            )


def check_certified(release: Release, devices: Sequence[Device]) -> None:
    """Invalid unless every device could run ``release``; ``missing`` names device and reason."""
    missing = missing_artifacts(release, devices)
    if not missing:
        return
    named = [
        {
            "device": str(found.device.pk),
            "serial": found.device.serial,
            "profile": str(found.profile),
            "model": str(found.model),
            "why": found.why,
        }
        for found in missing[:MAX_NAMED_DEVICES]
    ]
    count = len({found.device.pk for found in missing})
    raise Invalid(
        f"{count} of {len(devices)} devices of the group lack a certified artifact of "
        f"{release.name}: {named[0]['serial']} ({named[0]['why']})"
        + (" and others, named in `missing`." if count > 1 else "."),
        missing=named,
    )


def _write(
    rollout: Rollout,
    stages: Sequence[StagePlan],
    sizes: Sequence[int],
    policy: RolloutPolicy,
    actor: str,
) -> None:
    rollout.epoch = 1 + (Rollout.objects.aggregate(last=Max("epoch"))["last"] or 0)
    rollout.policy = policy.model_dump(mode="json")
    rollout.created_at, rollout.created_by = clock.now(), actor
    try:
        with transaction.atomic():
            rollout.save()
    except IntegrityError:
        raise Conflict("Another rollout was created at the same moment; send it again.") from None
    Stage.objects.bulk_create(
        Stage(rollout=rollout, index=index, plan=plan.model_dump(exclude_none=True), size=size)
        for index, (plan, size) in enumerate(zip(stages, sizes, strict=True))
    )
    record(rollout, "create", actor, after={"sizes": list(sizes), "policy": rollout.policy})


@transaction.atomic
def start_rollout(*, rollout: Rollout, actor: str, reason: str = "") -> None:
    """Let the next tick begin; Conflict unless it is a draft."""
    move_rollout(rollout, RolloutState.SCHEDULED, action="start", actor=actor, reason=reason)


@transaction.atomic
def pause_rollout(*, rollout: Rollout, actor: str, reason: str = "") -> None:
    """No new offers, and no verdicts; devices on their way finish."""
    move_rollout(rollout, RolloutState.PAUSED, action="pause", actor=actor, reason=reason)


@transaction.atomic
def resume_rollout(*, rollout: Rollout, actor: str, reason: str = "") -> None:
    """Go on where it was paused; Conflict where it is not."""
    if rollout.state != RolloutState.PAUSED:
        raise Conflict(f"A rollout that is {rollout.state} cannot be resumed.")
    move_rollout(rollout, RolloutState.RUNNING, action="resume", actor=actor, reason=reason)


@transaction.atomic
def stop_rollout(*, rollout: Rollout, actor: str, reason: str) -> None:
    """End it: offers that were not activated are withdrawn, the others finish and stay."""
    reason = _require_reason(reason, "stopping")
    _end(rollout, RolloutState.STOPPED, "stop", actor, reason)


@transaction.atomic
def roll_back_rollout(*, rollout: Rollout, actor: str, reason: str) -> Rollout:
    """Bring every device that took the release back to what it ran before; returns that rollout.

    It is a rollout of its own, with the pace and the gate of the first, and is already
    scheduled. A rollout that is under way becomes rolled_back; one that has ended stays as it
    is. Devices that ran nothing before keep what they have.
    """
    reason = _require_reason(reason, "rolling back")
    if rollout.state in (RolloutState.RUNNING, RolloutState.PAUSED):
        _end(rollout, RolloutState.ROLLED_BACK, "roll_back", actor, reason)
    elif rollout.state in (RolloutState.SUCCEEDED, RolloutState.STOPPED):
        record(rollout, "roll_back", actor, reason=reason)
    else:
        raise Conflict(f"A rollout that is {rollout.state} cannot be rolled back.")
    if rollout.undone_by.filter(state__in=ROLLOUT.open).exists():
        raise Conflict("This rollout is being rolled back already.")
    return _undo(rollout, actor)


def _undo(rollout: Rollout, actor: str) -> Rollout:
    undo = Rollout(name=f"Roll back: {rollout.name}"[:200], undoes=rollout, group=rollout.group)
    here = revertible_deployments(rollout).filter(device__desired__deployment__rollout=rollout)
    size = eligible_devices(undo).filter(deployments__in=here).count()
    if not size:
        raise Invalid(
            "No device runs this release with another one to go back to: stop it instead."
        )
    _write(undo, [_WHOLE], [size], _gentle(rollout.rules), actor)
    move_rollout(undo, RolloutState.SCHEDULED, action="start", actor=actor)
    return undo


def _gentle(policy: RolloutPolicy) -> RolloutPolicy:
    """No limit that stops: one box that cannot go back must not keep the others from it."""
    return policy.model_copy(
        update={
            "min_devices": 1,
            "error_limit": ErrorLimit(count=UNLIMITED),
            "max_faults": UNLIMITED,
            "max_crashes": UNLIMITED,
            "max_p95_ms": None,
            "max_p95_ratio": None,
        }
    )


def _end(rollout: Rollout, to: RolloutState, action: str, actor: str, reason: str) -> None:
    move_rollout(rollout, to, action=action, actor=actor, reason=reason)
    fail_stage(rollout, actor=actor, reason=reason)
    withdraw(rollout, actor=actor, reason=reason)


def _require_reason(reason: str, act: str) -> str:
    reason = reason.strip()
    if not reason:
        raise Invalid(f"Say why: {act} a rollout needs a reason.")
    if len(reason) > MAX_REASON:
        raise Invalid(f"A reason has at most {MAX_REASON} characters.")
    return reason
