"""Who works on a check, and until when nobody else may."""

from __future__ import annotations

from typing import Any

from server.accounts.actors import SYSTEM
from server.builds import dispatch
from server.builds.checks.queueing import RUN_CHECK
from server.builds.checks.states import CHECK, MAX_ATTEMPTS, CheckState
from server.builds.models import PipelineCheck
from server.lib import clock
from server.lib.leases import Leases
from server.lib.states import move

LEASE_S = 60.0
LEASES = Leases(
    CHECK,
    PipelineCheck,
    waiting=CheckState.QUEUED,
    held=CheckState.LEASED,
    lease_s=LEASE_S,
    related=("profile",),
)


def lease_check(*, check_id: int, owner: str) -> PipelineCheck | None:
    """Take a queued check for ``owner``; None where it is not queued or somebody was faster."""
    queued = PipelineCheck.objects.filter(pk=check_id, state=CheckState.QUEUED)
    check = queued.select_related("release__golden", "profile").first()
    if check is None:
        return None
    return check if LEASES.take(check, owner, started_at=clock.now(), share=0.0) else None


def tell_left(*, check: PipelineCheck, why: str) -> None:
    """Say of a queued check why the builder that was asked did not take it."""
    PipelineCheck.objects.filter(pk=check.pk, state=CheckState.QUEUED).update(reason=why)


def extend_check(*, check: PipelineCheck, owner: str, **progress: float) -> bool:
    """Keep the lease and store ``progress``; False where it is no longer ``owner``'s."""
    return LEASES.extend(check, owner, **progress)


def expire_checks() -> int:
    """Take back checks whose worker was not heard of in time; how many."""
    return len(LEASES.expire(lambda check, why: return_check(check, why, actor=SYSTEM)))


def lock_check(check: PipelineCheck, owner: str) -> None:
    """Raises Conflict where the lease is another's by now. Call in a transaction."""
    LEASES.lock(check, owner)


def return_check(check: PipelineCheck, why: str, *, actor: str) -> None:
    """Queue a leased check again, or fail it after ``MAX_ATTEMPTS``. Call under its lock."""
    if check.attempts < MAX_ATTEMPTS:
        LEASES.put_back(check, why, actor=actor)
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
