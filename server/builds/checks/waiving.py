"""A person answers for a release where nobody could judge its golden cases."""

from __future__ import annotations

from django.db import transaction

from server.accounts import audit
from server.builds.checks.leases import close_check
from server.builds.checks.queueing import MAX_REASON, add_check
from server.builds.checks.selectors import has_nobody, newest_check, why_check_waits
from server.builds.checks.states import CheckState
from server.builds.models import PipelineCheck
from server.fleet.models import HardwareProfile
from server.lib.errors import Conflict, Invalid
from server.registry.models import Release


def waive_check(
    *, release: Release, profile: HardwareProfile, reason: str, actor: str
) -> PipelineCheck:
    """Let ``release`` be signed for ``profile`` without a PipelineCertificate.

    Raises Invalid without a reason, Conflict unless the check that counts has failed, or waits
    for nobody: what was refused stays refused, and what can still be judged is judged.
    """
    reason = reason.strip()
    if not reason or len(reason) > MAX_REASON:
        raise Invalid(f"Give a reason of at most {MAX_REASON} characters: it stays there.")
    last = newest_check(release, profile)
    if last is None or not is_waivable(last):
        state = last.state if last else "not judged yet"
        raise Conflict(
            f"The golden cases of {release} on {profile}: {state}. A person answers only for what "
            "could not be found out."
        )
    before = {last.state: last.reason or why_check_waits(last)}
    with transaction.atomic():
        check = _to_close(last)
        close_check(check, CheckState.WAIVED, actor, f"Not judged; {actor} answers: {reason}")
        audit.record(
            actor=actor,
            action="waive",
            subject="pipeline_check",
            subject_id=str(check.pk),
            reason=reason,
            before=before,
            after={"release": release.name, "profile": profile.name},
        )
    return check


def is_waivable(check: PipelineCheck) -> bool:
    """Whether nobody could find it out, or nobody is there who might."""
    return check.state == CheckState.FAILED or has_nobody(check)


def _to_close(last: PipelineCheck) -> PipelineCheck:
    """The one that waits, or a new one after a failure."""
    if last.state == CheckState.QUEUED:
        return last
    check, is_new = add_check(release=last.release, profile=last.profile, after=last)
    if not is_new:
        raise Conflict(f"The golden cases of {last.release} are being judged again.")
    return check
