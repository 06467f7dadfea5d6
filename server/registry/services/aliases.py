"""Aliases: movable names of versions. Every move leaves a row that says who, when and why."""

from __future__ import annotations

from django.db import IntegrityError, transaction

from server.accounts import audit
from server.lib import clock
from server.lib.errors import Conflict, Invalid
from server.registry.models import Alias, AliasMove, ModelVersion, VisionModel


def move_alias(
    *,
    model: VisionModel,
    name: str,
    version: ModelVersion | None,
    expected: ModelVersion | None,
    actor: str,
    reason: str,
) -> AliasMove:
    """Move ``name`` from ``expected`` to ``version``; None is no version, on either side.

    Raises Conflict, with the version that it names now as ``current``, where that is not
    ``expected``: somebody else moved it. Raises Invalid for a move that moves nothing, or to a
    version of another model.
    """
    if version is not None and version.model_id != model.pk:
        raise Invalid(f"{version} is no version of {model}.")
    if version == expected:
        raise Invalid(f"{model}@{name} would stay where it is; nothing was moved.")
    try:
        return _move(
            model=model, name=name, version=version, expected=expected, actor=actor, reason=reason
        )
    except IntegrityError:
        # Two people set it for the first time at once: the other one was first.
        raise _moved_meanwhile(model, name) from None


@transaction.atomic
def _move(
    *,
    model: VisionModel,
    name: str,
    version: ModelVersion | None,
    expected: ModelVersion | None,
    actor: str,
    reason: str,
) -> AliasMove:
    now = clock.now()
    found = Alias.objects.filter(model=model, name=name)
    if not found.filter(version=expected).update(version=version, moved_at=now):
        if expected is not None or found.exists():
            raise _moved_meanwhile(model, name)
        Alias.objects.create(model=model, name=name, version=version, moved_at=now)
    alias = found.get()
    audit.record(
        actor=actor,
        action="move",
        subject="alias",
        subject_id=f"{model.name}/{name}",
        reason=reason,
        before={"version": expected and expected.version},
        after={"version": version and version.version},
    )
    return AliasMove.objects.create(
        alias=alias, old=expected, new=version, actor=actor, reason=reason, at=now
    )


def _moved_meanwhile(model: VisionModel, name: str) -> Conflict:
    alias = Alias.objects.select_related("version").filter(model=model, name=name).first()
    current = alias.version.version if alias and alias.version else None
    return Conflict(
        f"{model}@{name} is {current or 'no version'} now: somebody moved it. Look again before "
        "you move it.",
        current=current,
    )
