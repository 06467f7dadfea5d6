"""The one way into the audit log."""

from __future__ import annotations

from typing import Any

from server.accounts.models import AuditEntry
from server.lib import clock


def record(
    *,
    actor: str,
    action: str,
    subject: str,
    subject_id: str,
    reason: str = "",
    before: Any = None,
    after: Any = None,
) -> None:
    """Write what is done, in the transaction that does it; ``before`` and ``after`` are JSON."""
    AuditEntry.objects.create(
        at=clock.now(),
        actor=actor,
        action=action,
        subject=subject,
        subject_id=str(subject_id),
        reason=reason,
        before=before,
        after=after,
    )
