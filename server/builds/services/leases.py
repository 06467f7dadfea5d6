"""Leases: who works on a build, and until when nobody else may."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction

from server.accounts.actors import SYSTEM
from server.builds import dispatch
from server.builds.models import Build
from server.builds.services.queueing import RUN_BUILD, wake_waiting
from server.builds.states import BUILD, MAX_ATTEMPTS, BuildState
from server.lib import clock
from server.lib.states import StaleState, move

LEASE_S = settings.ENV.build_lease_s


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
    now = clock.now()
    try:
        move(
            BUILD,
            build,
            BuildState.LEASED,
            actor=owner,
            attempts=build.attempts + 1,
            lease_owner=owner,
            lease_expires_at=_lease_end(now),
            started_at=now,
            step="",
            share=0.0,
            reason="",
            key="",  # its recipe is told afresh: this machine may be another one
            recipe=None,
        )
    except StaleState:
        return None
    return build


def extend_lease(*, build: Build, owner: str, **progress: Any) -> bool:
    """Keep the lease and store ``progress``; False where it is no longer ``owner``'s."""
    held = Build.objects.filter(pk=build.pk, state=BuildState.LEASED, lease_owner=owner)
    return held.update(lease_expires_at=_lease_end(clock.now()), **progress) == 1


def expire_leases() -> list[Build]:
    """Take back builds whose worker was not heard of in time; returns them."""
    late = Build.objects.filter(state=BuildState.LEASED, lease_expires_at__lt=clock.now())
    return [build for build in late.select_related("profile") if _expire(build)]


@transaction.atomic
def _expire(build: Build) -> bool:
    held = Build.objects.select_for_update().filter(
        pk=build.pk, state=BuildState.LEASED, lease_expires_at__lt=clock.now()
    )
    if not held.exists():
        return False  # the worker was only slow
    return_build(build, f"The worker {build.lease_owner} was not heard of in time.", actor=SYSTEM)
    return True


def return_build(build: Build, why: str, *, actor: str) -> None:
    """Queue a leased build again, or fail it after ``MAX_ATTEMPTS``. Call under its lock."""
    freed: dict[str, Any] = {"lease_owner": "", "lease_expires_at": None}
    wake_waiting(build.key)
    if build.attempts < MAX_ATTEMPTS:
        queued_at = clock.now()
        move(BUILD, build, BuildState.QUEUED, actor=actor, reason=why, queued_at=queued_at, **freed)
        dispatch.forget(RUN_BUILD, build.pk)
        return
    ended = f"Given up after {build.attempts} attempts. {why}"
    move(
        BUILD,
        build,
        BuildState.FAILED,
        actor=actor,
        reason=ended,
        finished_at=clock.now(),
        **freed,
    )
    Build.objects.filter(pk=build.pk).update(reason=ended)
    build.reason = ended


def _lease_end(now: datetime) -> datetime:
    return now + timedelta(seconds=LEASE_S)
