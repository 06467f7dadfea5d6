"""One device's part: offered, reported on, ended. The device's Desired row is the lock.

Whoever changes a deployment first locks the Desired row of its device, so that a report, a
newer rollout and a stop meet in one order, and none of them waits for the other in a circle.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from django.db import transaction

from inference_core.contract.device import Progress, ProgressReply
from inference_core.contract.words import TERMINAL_PHASES, DeploymentPhase, FailureCause
from server.accounts.actors import SYSTEM
from server.builds.models import ReleaseTarget
from server.fleet.models import Device
from server.fleet.services import GOAL_CHANGED
from server.lib import clock, outbox
from server.lib.errors import Conflict, Gone, Invalid, NotFound
from server.lib.states import move
from server.rollouts.models import TERMINAL, Deployment, Desired, Stage
from server.rollouts.states import DEPLOYMENT

P = DeploymentPhase
_SERVERS_OWN = frozenset({P.QUEUED, P.TIMED_OUT, P.REMOVED})
_FAILURES = frozenset({P.ROLLED_BACK, P.FAILED, P.REJECTED})


@transaction.atomic
def write_deployment(*, stage: Stage, device: Device, target: ReleaseTarget) -> Deployment:
    """Give ``device`` its part of the rollout, and the goal that goes with it.

    An older open deployment is superseded in the same transaction. Where a newer rollout has
    the device already, the new row is born superseded and the goal stays: highest epoch wins.
    """
    desired, now = _lock_desired(device.pk), clock.now()
    part = Deployment(
        rollout=stage.rollout,
        stage=stage,
        device=device,
        target=target,
        previous_id=desired.target_id,
        created_at=now,
        updated_at=now,
    )
    winner = _winner(part, desired)
    if winner:
        part.phase, part.detail, part.finished_at = str(P.SUPERSEDED), winner, now
        part.save()
        return part
    older = device.deployments.exclude(phase__in=TERMINAL).select_related("rollout").first()
    if older is not None:
        # What it was to replace is still the last release that the device has proven.
        part.previous_id = older.previous_id
        _end(older, P.SUPERSEDED, SYSTEM, f"{stage.rollout} is newer", now)
    part.save()
    _change_goal(desired, part.target_id, part, now)
    return part


def _winner(part: Deployment, desired: Desired) -> str:
    """Why the device is not this rollout's to have; empty where it is."""
    alive = [str(phase) for phase in P if phase not in TERMINAL_PHASES or phase is P.COMMITTED]
    newer = part.device.deployments.filter(
        rollout__epoch__gt=part.rollout.epoch, phase__in=alive
    ).select_related("rollout")
    found = newer.first()
    if found is not None:
        return f"The newer rollout {found.rollout} has this device."
    undone = part.rollout.undoes_id
    if undone and (desired.deployment is None or desired.deployment.rollout_id != undone):
        return "The device has moved on since the rollout that is undone."
    return ""


@transaction.atomic
def end_deployment(
    *,
    deployment: Deployment,
    phase: DeploymentPhase,
    actor: str,
    reason: str,
    only_in: Collection[str] = DEPLOYMENT.open,
) -> bool:
    """End an open deployment from the server's side: the device goes back to what it ran before.

    False where it had ended by itself, or had left the phases ``only_in``, in the meantime.
    """
    desired = _lock_desired(deployment.device_id)
    deployment.refresh_from_db(fields=["phase", "version"])
    if deployment.phase not in only_in:
        return False
    _end(deployment, phase, actor, reason, clock.now())
    _return_to_previous(desired, deployment)
    return True


@transaction.atomic
def report_progress(*, device: Device, deployment_id: UUID, progress: Progress) -> ProgressReply:
    """Take in what ``device`` says of its deployment.

    The same report again has the same reply. Conflict (409) answers a report that does not fit
    what the server has, Gone (410) one to a deployment that has ended: both carry the
    deployment as it is. NotFound, also for another device's deployment; Invalid for a phase
    that is not the device's to say.
    """
    if not device.deployments.filter(pk=deployment_id).exists():
        raise NotFound("This device has no such deployment.")
    desired = _lock_desired(device.pk)
    part = device.deployments.select_related("target").get(pk=deployment_id)
    if progress.seq == part.seq and progress.phase == part.phase:
        return _reply(part)
    _check_fits(part, progress)
    _accept(part, progress, actor=f"device:{device.serial}")
    if progress.phase in TERMINAL_PHASES and progress.phase is not P.COMMITTED:
        _return_to_previous(desired, part)
    elif progress.phase is P.COMMITTED:
        # The goal stays, but names no deployment any more.
        outbox.enqueue(GOAL_CHANGED, {"device_id": str(device.pk)})
    return _reply(part)


def _check_fits(part: Deployment, progress: Progress) -> None:
    current = _reply(part).model_dump(mode="json")
    if part.phase in TERMINAL:
        raise Gone(f"This deployment has ended: it is {part.phase}.", **current)
    if progress.expected_version != part.version or progress.seq <= part.seq:
        raise Conflict("The deployment has changed since; adopt what this answer says.", **current)
    if progress.phase in _SERVERS_OWN:
        raise Invalid(f"A device does not report the phase {progress.phase}.")
    if progress.phase != part.phase and not DEPLOYMENT.allows(part.phase, str(progress.phase)):
        raise Conflict(f"A deployment that is {part.phase} does not go back.", **current)
    running = progress.running_sha256
    if progress.phase is P.COMMITTED and running not in (None, part.target.sha256):
        raise Invalid(f"Committed, but running {running} instead of {part.target.sha256}.")


def _accept(part: Deployment, progress: Progress, *, actor: str) -> None:
    now, error = clock.now(), progress.error
    changes: dict[str, object] = {
        "seq": progress.seq,
        "version": part.version + 1,
        "updated_at": now,
    }
    if progress.phase in TERMINAL_PHASES:
        changes["finished_at"] = now
    if progress.phase in _FAILURES:
        changes["cause"] = str(error.cause if error else FailureCause.OTHER)
    if error is not None:
        changes["detail"] = error.detail
    if progress.phase == part.phase:
        for name, value in changes.items():
            setattr(part, name, value)
        part.save(update_fields=list(changes))
        return
    reason = error.detail if error else ""
    move(DEPLOYMENT, part, str(progress.phase), actor=actor, reason=reason, **changes)


def _lock_desired(device_id: UUID) -> Desired:
    Desired.objects.get_or_create(device_id=device_id, defaults={"changed_at": clock.now()})
    rows = Desired.objects.select_for_update(no_key=True, of=("self",))
    return rows.select_related("deployment").get(device_id=device_id)


def _end(part: Deployment, phase: DeploymentPhase, actor: str, reason: str, now: datetime) -> None:
    move(
        DEPLOYMENT,
        part,
        str(phase),
        actor=actor,
        reason=reason,
        version=part.version + 1,
        detail=reason,
        updated_at=now,
        finished_at=now,
    )


def _return_to_previous(desired: Desired, part: Deployment) -> None:
    """Want what was there before, unless a newer deployment has the device."""
    if desired.deployment_id == part.pk:
        _change_goal(desired, part.previous_id, None, clock.now())


def _change_goal(
    desired: Desired, target_id: int | None, part: Deployment | None, now: datetime
) -> None:
    desired.target_id = target_id
    desired.deployment = part
    desired.generation += 1
    desired.changed_at = now
    desired.save()
    outbox.enqueue(GOAL_CHANGED, {"device_id": str(desired.device_id)})


def _reply(part: Deployment) -> ProgressReply:
    return ProgressReply(version=part.version, seq=part.seq, phase=DeploymentPhase(part.phase))
