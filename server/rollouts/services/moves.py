"""The one way in which a rollout changes its state: an event, a reason, an audit entry."""

from __future__ import annotations

from django.db import transaction

from server.accounts import audit
from server.lib import clock
from server.lib.states import move
from server.rollouts.models import Rollout
from server.rollouts.states import ROLLOUT, RolloutState


@transaction.atomic
def move_rollout(
    rollout: Rollout, to: RolloutState, *, action: str, actor: str, reason: str = ""
) -> None:
    """Move it, and say why on it. Raises what ``move`` raises."""
    before = rollout.state
    times = {"finished_at": clock.now()} if to in ROLLOUT.terminal else {}
    move(ROLLOUT, rollout, to, actor=actor, reason=reason, **times)
    explain(rollout, reason)
    record(rollout, action, actor, reason=reason, before={"state": before}, after={"state": to})


def explain(rollout: Rollout, reason: str) -> None:
    """Why it holds, or why it ended; written only where it changed."""
    if reason != rollout.reason:
        rollout.reason = reason
        rollout.save(update_fields=["reason"])


def record(
    rollout: Rollout,
    action: str,
    actor: str,
    *,
    reason: str = "",
    before: object = None,
    after: object = None,
) -> None:
    """An audit entry about ``rollout``."""
    audit.record(
        actor=actor,
        action=action,
        subject="rollout",
        subject_id=str(rollout.pk),
        reason=reason,
        before=before,
        after=after,
    )
