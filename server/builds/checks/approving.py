"""A person's word on golden cases that a device judged: before it, nobody signs."""

from __future__ import annotations

from django.db import transaction

from server.accounts import audit
from server.builds.checks.selectors import newest_check
from server.builds.checks.states import CheckState
from server.builds.models import PipelineCheck
from server.fleet.models import HardwareProfile
from server.lib import clock
from server.lib.errors import Conflict
from server.registry.models import Release


@transaction.atomic
def approve_check(
    *, release: Release, profile: HardwareProfile, reason: str, actor: str
) -> PipelineCheck:
    """Let ``release`` be signed for ``profile``, by the next sweep; Conflict where nothing waits.

    Whoever does not believe the device has it judged again instead, see ``queue_check``.
    """
    check = _lock(newest_check(release, profile))
    if check is None or not check.waits_for_approval:
        raise Conflict(f"No golden cases of {release} wait for approval on {profile}.")
    check.approved_at, check.approved_by = clock.now(), actor
    check.approval_reason = reason
    check.save(update_fields=["approved_at", "approved_by", "approval_reason"])
    audit.record(
        actor=actor,
        action="approve",
        subject="pipeline_check",
        subject_id=str(check.pk),
        reason=reason,
        after={
            "release": release.name,
            "profile": profile.name,
            "device": check.device and check.device.serial,
            "certificate": check.certificate_sha256,
        },
    )
    return check


def _lock(check: PipelineCheck | None) -> PipelineCheck | None:
    """As it is now, where it has succeeded."""
    if check is None:
        return None
    rows = PipelineCheck.objects.select_for_update(of=("self",)).select_related("device")
    return rows.filter(pk=check.pk, state=CheckState.SUCCEEDED).first()
