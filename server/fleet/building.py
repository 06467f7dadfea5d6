"""Where artifacts of a profile are built: a decision of an admin, because code comes of it."""

from __future__ import annotations

from django.db import transaction

from server.accounts import audit
from server.fleet.models import BuiltOn, HardwareProfile


@transaction.atomic
def set_building(
    *, profile: HardwareProfile, built_on: BuiltOn, needs_approval: bool, reason: str, actor: str
) -> None:
    """Let workers or the profile's own devices build, from the next build on.

    ``needs_approval`` is about artifacts of devices: what is built already keeps the rule that
    it was built under.
    """
    before = _as_json(profile)
    profile.built_on, profile.needs_approval = built_on, needs_approval
    profile.save(update_fields=["built_on", "needs_approval"])
    audit.record(
        actor=actor,
        action="set_building",
        subject="hardware_profile",
        subject_id=profile.name,
        reason=reason,
        before=before,
        after=_as_json(profile),
    )


def _as_json(profile: HardwareProfile) -> dict[str, object]:
    return {"built_on": str(profile.built_on), "needs_approval": profile.needs_approval}
