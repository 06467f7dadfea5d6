"""Ends a build that nobody wants any more."""

from __future__ import annotations

from django.db import transaction

from server.accounts import audit
from server.builds.models import Build
from server.builds.services.outcomes import close_build
from server.builds.states import BUILD, BuildState
from server.lib.errors import Conflict, Invalid

MAX_CANCEL_REASON = 500


def cancel_build(*, build_id: int, actor: str, reason: str) -> Build:
    """Fail a build that waits or is worked on; the worker kills its child with its next look.

    Conflict where it has ended: of a success and a cancellation at once, one wins.
    """
    reason = reason.strip()
    if not reason or len(reason) > MAX_CANCEL_REASON:
        raise Invalid(f"Give a reason of at most {MAX_CANCEL_REASON} characters: it stays there.")
    with transaction.atomic():
        build = Build.objects.select_for_update().get(pk=build_id)
        if build.state not in BUILD.open:
            raise Conflict(f"Build {build.pk} has ended already: it is {build.state}.")
        before = {"state": build.state, "lease_owner": build.lease_owner}
        why = f"cancelled by {actor.removeprefix('user:')}: {reason}"
        close_build(build, BuildState.FAILED, actor, why)
        audit.record(
            actor=actor,
            action="cancel",
            subject="build",
            subject_id=str(build.pk),
            reason=reason,
            before=before,
            after={"state": build.state},
        )
    return build
