"""Leases: who works on a row, and until when nobody else may.

A worker takes a waiting row, says now and then that it lives, and ends it. One that was not heard
of in time loses the row, and what it says later is not used.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from django.db import models, transaction

from server.lib import clock
from server.lib.errors import Conflict
from server.lib.states import Machine, StaleState, move


class LeasedRow(models.Model):
    """What such a row has beside its state."""

    attempts = models.PositiveSmallIntegerField(default=0)
    lease_owner = models.CharField(max_length=200, blank=True)
    lease_expires_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True


Row = TypeVar("Row", bound=LeasedRow)


@dataclass(frozen=True)
class Leases(Generic[Row]):
    """Of one kind of row. ``waiting`` and ``held`` are states of its machine.

    ``related`` is read with the rows that are late.
    """

    machine: Machine
    model: type[Row]
    waiting: str
    held: str
    lease_s: float
    related: tuple[str, ...] = ()

    def take(self, row: Row, owner: str, **changes: Any) -> bool:
        """Make a waiting row ``owner``'s; False where somebody was faster. Counts the attempt."""
        changes |= {"attempts": row.attempts + 1, "lease_owner": owner}
        changes["lease_expires_at"] = self._end()
        try:
            move(self.machine, row, self.held, actor=owner, **changes)
        except StaleState:
            return False
        return True

    def extend(self, row: Row, owner: str, **progress: Any) -> bool:
        """Keep the lease and store ``progress``; False where it is no longer ``owner``'s."""
        return self._of(row, owner).update(lease_expires_at=self._end(), **progress) == 1

    def lock(self, row: Row, owner: str) -> None:
        """Conflict where the lease is another's by now. Call in a transaction."""
        if not self._of(row, owner).select_for_update().exists():
            what = f"{self.machine.name.replace('_', ' ')} {row.pk}"
            raise Conflict(f"The lease of {what} was lost; its result is not used.")

    def put_back(self, row: Row, why: str, *, actor: str, **changes: Any) -> None:
        """Let it wait again. Call under its lock."""
        changes |= {"lease_owner": "", "lease_expires_at": None}
        move(self.machine, row, self.waiting, actor=actor, reason=why, **changes)

    def count_alive(self) -> int:
        """Rows whose worker was heard of in time."""
        return self._held().filter(lease_expires_at__gt=clock.now()).count()

    def expire(self, take_back: Callable[[Row, str], None]) -> list[Row]:
        """``take_back`` each row whose worker was not heard of, under its lock, with a sentence."""
        late = self._late()
        rows = late.select_related(*self.related) if self.related else late
        return [row for row in rows if self._expire(row, take_back)]

    @transaction.atomic
    def _expire(self, row: Row, take_back: Callable[[Row, str], None]) -> bool:
        if not self._late().select_for_update().filter(pk=row.pk).exists():
            return False  # the worker was only slow
        take_back(row, f"The worker {row.lease_owner} was not heard of in time.")
        return True

    def _held(self) -> models.QuerySet[Row]:
        manager = self.model._default_manager  # noqa: SLF001 - Django's documented spelling
        return manager.filter(**{self.machine.field: self.held})

    def _late(self) -> models.QuerySet[Row]:
        return self._held().filter(lease_expires_at__lt=clock.now())

    def _of(self, row: Row, owner: str) -> models.QuerySet[Row]:
        return self._held().filter(pk=row.pk, lease_owner=owner)

    def _end(self) -> datetime:
        return clock.now() + timedelta(seconds=self.lease_s)
