"""A person's word on an artifact that a device built: before it, nobody signs."""

from __future__ import annotations

from django.db import transaction

from server.accounts import audit
from server.builds.models import Artifact, Build
from server.lib import clock
from server.lib.errors import Conflict


@transaction.atomic
def approve_artifact(*, build: Build, reason: str, actor: str) -> Artifact:
    """Let what ``build`` made be signed, by the next sweep; Conflict where nothing waits."""
    artifact = _waiting(build)
    artifact.approved_at, artifact.approved_by = clock.now(), actor
    artifact.approval_reason = reason
    artifact.save(update_fields=["approved_at", "approved_by", "approval_reason"])
    _record("approve", artifact, actor, reason)
    return artifact


@transaction.atomic
def reject_artifact(*, build: Build, reason: str, actor: str) -> None:
    """Never sign what ``build`` made: it is forgotten, and another build may be asked for."""
    artifact = _waiting(build)
    _record("reject", artifact, actor, reason)
    artifact.delete()
    build.reason = f"Rejected by {actor.removeprefix('user:')}: {reason}"
    Build.objects.filter(pk=build.pk).update(reason=build.reason)


def _waiting(build: Build) -> Artifact:
    rows = Artifact.objects.select_for_update(of=("self",)).select_related("device")
    waiting = rows.filter(build=build, needs_approval=True, approved_at=None, superseded_at=None)
    artifact = waiting.first()
    if artifact is None or artifact.signed_at is not None:
        raise Conflict(f"Nothing of build {build.pk} waits for approval.")
    return artifact


def _record(action: str, artifact: Artifact, actor: str, reason: str) -> None:
    audit.record(
        actor=actor,
        action=action,
        subject="artifact",
        subject_id=artifact.sha256,
        reason=reason,
        after={"build": artifact.build_id, "device": artifact.device and artifact.device.serial},
    )
