"""Parity limits of a model: decided by a person, for every build that is queued from then on."""

from __future__ import annotations

from django.db import transaction

from inference_core.contract.build import ParityLimits
from server.accounts import audit
from server.lib import clock
from server.lib.errors import Conflict, Invalid
from server.registry.limits import in_full, require_meaningful
from server.registry.models import LimitsChange, VisionModel

MAX_REASON = 1000


def set_limits(
    *, model: VisionModel, limits: ParityLimits, expected: int, reason: str, actor: str
) -> LimitsChange:
    """Set what a candidate must keep; builds that are queued already keep what they were told.

    ``expected`` is the number of the last change that the caller has seen. Raises Invalid without
    a reason, for limits below a floor, and where nothing would change; Conflict, with the
    ``current`` number, where somebody else changed them meanwhile.
    """
    reason = reason.strip()
    if not reason or len(reason) > MAX_REASON:
        raise Invalid(f"Give a reason of at most {MAX_REASON} characters: it stays there.")
    require_meaningful(limits)
    with transaction.atomic():
        locked = VisionModel.objects.select_for_update().get(pk=model.pk)
        _require_seen(locked, expected)
        if locked.limits == limits:
            raise Invalid(f"The limits of {model.name} are these already; nothing was changed.")
        change = _write(locked, limits, reason, actor)
    model.limits_body, model.limits_number = change.new, change.number
    return change


def _require_seen(model: VisionModel, expected: int) -> None:
    if model.limits_number != expected:
        raise Conflict(
            f"The limits of {model.name} were changed meanwhile: the last change is number "
            f"{model.limits_number}, and you saw number {expected}. Look again before you change "
            "them.",
            current=model.limits_number,
        )


def _write(model: VisionModel, limits: ParityLimits, reason: str, actor: str) -> LimitsChange:
    """Call under the lock of ``model``."""
    old, new, number = in_full(model.limits), in_full(limits), model.limits_number + 1
    VisionModel.objects.filter(pk=model.pk).update(limits_body=new, limits_number=number)
    audit.record(
        actor=actor,
        action="set_limits",
        subject="model",
        subject_id=model.name,
        reason=reason,
        before=old,
        after=new,
    )
    return LimitsChange.objects.create(
        model=model, number=number, old=old, new=new, actor=actor, reason=reason, at=clock.now()
    )
