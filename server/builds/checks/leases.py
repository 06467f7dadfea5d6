"""Who works on a check, and until when nobody else may."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db import transaction

from server.accounts.actors import SYSTEM
from server.builds import dispatch
from server.builds.checks.queueing import RUN_CHECK
from server.builds.checks.states import CHECK, MAX_ATTEMPTS, CheckState
from server.builds.models import PipelineCheck
from server.lib import clock
from server.lib.errors import Conflict
from server.lib.states import StaleState, move

LEASE_S = 60.0


def lease_check(*, check_id: int, owner: str) -> PipelineCheck | None:
    """Take a queued check for ``owner``; None where it is not queued or somebody was faster."""
    queued = PipelineCheck.objects.filter(pk=check_id, state=CheckState.QUEUED)
    check = queued.select_related("release__golden", "profile").first()
    if check is None:
        return None
    now = clock.now()
    try:
        move(
            CHECK,
            check,
            CheckState.LEASED,
            actor=owner,
            attempts=check.attempts + 1,
            lease_owner=owner,
            lease_expires_at=now + timedelta(seconds=LEASE_S),
            started_at=now,
            share=0.0,
            reason="",
        )
    except StaleState:
        return None
    return check


def tell_left(*, check: PipelineCheck, why: str) -> None:
    """Say of a queued check why the builder that was asked did not take it."""
    PipelineCheck.objects.filter(pk=check.pk, state=CheckState.QUEUED).update(reason=why)


def extend_check(*, check: PipelineCheck, owner: str, **progress: float) -> bool:
    """Keep the lease and store ``progress``; False where it is no longer ``owner``'s."""
    held = PipelineCheck.objects.filter(pk=check.pk, state=CheckState.LEASED, lease_owner=owner)
    until = clock.now() + timedelta(seconds=LEASE_S)
    return held.update(lease_expires_at=until, **progress) == 1


def expire_checks() -> int:
    """Take back checks whose worker was not heard of in time; how many."""
    late = PipelineCheck.objects.filter(state=CheckState.LEASED, lease_expires_at__lt=clock.now())
    return sum(_expire(check) for check in late.select_related("profile"))


@transaction.atomic
def _expire(check: PipelineCheck) -> bool:
    late = PipelineCheck.objects.select_for_update().filter(
        pk=check.pk, state=CheckState.LEASED, lease_expires_at__lt=clock.now()
    )
    if not late.exists():
        return False  # the worker was only slow
    return_check(check, f"The worker {check.lease_owner} was not heard of in time.", actor=SYSTEM)
    return True


def lock_check(check: PipelineCheck, owner: str) -> None:
    """Raises Conflict where the lease is another's by now. Call in a transaction."""
    held = PipelineCheck.objects.select_for_update().filter(
        pk=check.pk, state=CheckState.LEASED, lease_owner=owner
    )
    if not held.exists():
        raise Conflict(f"The lease of {check} was lost; its result is not used.")


def return_check(check: PipelineCheck, why: str, *, actor: str) -> None:
    """Queue a leased check again, or fail it after ``MAX_ATTEMPTS``. Call under its lock."""
    freed: dict[str, Any] = {"lease_owner": "", "lease_expires_at": None}
    if check.attempts < MAX_ATTEMPTS:
        move(CHECK, check, CheckState.QUEUED, actor=actor, reason=why, **freed)
        dispatch.forget(RUN_CHECK, check.pk)
        return
    ended = f"Given up after {check.attempts} attempts. {why}"
    close_check(check, CheckState.FAILED, actor, ended, lease_owner="")


def close_check(
    check: PipelineCheck, state: CheckState, actor: str, why: str, **changes: Any
) -> None:
    """End it for good. Call under its lock."""
    move(
        CHECK,
        check,
        state,
        actor=actor,
        reason=why,
        finished_at=clock.now(),
        lease_expires_at=None,
        **changes,
    )
    PipelineCheck.objects.filter(pk=check.pk).update(reason=why)
    check.reason = why
