"""Leases: who works on a build, and until when nobody else may."""

from __future__ import annotations

from typing import Any

from django.conf import settings

from server.accounts.actors import SYSTEM
from server.builds import dispatch
from server.builds.models import Build
from server.builds.services.queueing import RUN_BUILD, wake_waiting
from server.builds.states import BUILD, MAX_ATTEMPTS, BuildState
from server.lib import clock
from server.lib.leases import Leases
from server.lib.states import move

LEASE_S = settings.ENV.build_lease_s
LEASES = Leases(
    BUILD,
    Build,
    waiting=BuildState.QUEUED,
    held=BuildState.LEASED,
    lease_s=LEASE_S,
    related=("profile",),
)


def lease_build(*, build_id: int, owner: str) -> Build | None:
    """Take a queued build for ``owner``; None where it is not queued or somebody was faster."""
    build = (
        Build.objects.select_related("version__model__golden", "profile")
        .select_related("version__model__calibration")
        .filter(pk=build_id, state=BuildState.QUEUED)
        .first()
    )
    if build is None:
        return None
    # Its recipe is told afresh: this machine may be another one.
    afresh = {"step": "", "share": 0.0, "key": "", "recipe": None}
    return build if LEASES.take(build, owner, started_at=clock.now(), **afresh) else None


def extend_lease(*, build: Build, owner: str, **progress: Any) -> bool:
    """Keep the lease and store ``progress``; False where it is no longer ``owner``'s."""
    return LEASES.extend(build, owner, **progress)


def expire_leases() -> list[Build]:
    """Take back builds whose worker was not heard of in time; returns them."""
    return LEASES.expire(lambda build, why: return_build(build, why, actor=SYSTEM))


def return_build(build: Build, why: str, *, actor: str) -> None:
    """Queue a leased build again, or fail it after ``MAX_ATTEMPTS``. Call under its lock."""
    wake_waiting(build.key)
    if build.attempts < MAX_ATTEMPTS:
        LEASES.put_back(build, why, actor=actor, queued_at=clock.now())
        dispatch.forget(RUN_BUILD, build.pk)
        return
    ended = f"Given up after {build.attempts} attempts. {why}"
    changes = {"finished_at": clock.now(), "lease_owner": "", "lease_expires_at": None}
    move(BUILD, build, BuildState.FAILED, actor=actor, reason=ended, **changes)
    Build.objects.filter(pk=build.pk).update(reason=ended)
    build.reason = ended
