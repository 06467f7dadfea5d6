"""State machines: a transition table, and the one way to move a row.

A move is an UPDATE filtered on the old state, with an event row in the same transaction.
Zero rows changed means that somebody else won.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import models, transaction

from server.lib import clock
from server.lib.errors import Conflict


@dataclass(frozen=True)
class Machine:
    """Which state may follow which. A state without successors is terminal."""

    name: str
    successors: Mapping[str, frozenset[str]]
    field: str = "state"

    def allows(self, old: str, new: str) -> bool:
        """Whether ``new`` may follow ``old``."""
        return new in self.successors[old]

    @property
    def terminal(self) -> frozenset[str]:
        """States that never change again."""
        return frozenset(state for state, after in self.successors.items() if not after)

    @property
    def open(self) -> frozenset[str]:
        """States that may still change."""
        return frozenset(self.successors) - self.terminal


class StaleState(Conflict):
    """The row is no longer in the state that the caller saw."""


class ForbiddenMove(Conflict):
    """The transition table does not have this move."""


def move(
    machine: Machine, row: models.Model, to: str, *, actor: str, reason: str = "", **changes: Any
) -> None:
    """Move ``row`` to the state ``to``, set ``changes`` with it, and leave an event.

    Raises ForbiddenMove where the table has no such transition, StaleState where the row has
    moved since it was read. On success ``row`` carries the new values.
    """
    from server.lib.models import StateEvent

    old = getattr(row, machine.field)
    if not machine.allows(old, to):
        raise ForbiddenMove(f"A {machine.name} that is {old} cannot become {to}.")
    with transaction.atomic():
        manager = type(row)._default_manager  # noqa: SLF001 - Django's documented spelling
        changed = manager.filter(pk=row.pk, **{machine.field: old}).update(
            **{machine.field: to}, **changes
        )
        if not changed:
            raise StaleState(f"The {machine.name} is no longer {old}; read it again.")
        StateEvent.objects.create(
            subject=machine.name,
            subject_id=str(row.pk),
            old=old,
            new=to,
            actor=actor,
            reason=reason,
            at=clock.now(),
        )
    for name, value in {machine.field: to, **changes}.items():
        setattr(row, name, value)
