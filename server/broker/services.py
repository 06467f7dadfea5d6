"""The only writers of doorbells.

Whoever changes a goal leaves a row; the one process that is connected to the broker takes it.
So no request waits for the broker, and a broker that is away loses nothing but time.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings

from server.broker.models import Doorbell
from server.lib import clock


def ring(*, device_id: UUID | str, generation: int) -> None:
    """Have ``device_id`` told that its goal changed."""
    Doorbell.objects.bulk_create(
        [Doorbell(device_id=device_id, generation=generation, rung_at=clock.now())],
        update_conflicts=True,
        unique_fields=["device"],
        update_fields=["generation", "rung_at"],
    )


def waiting(limit: int) -> list[Doorbell]:
    """The oldest doorbells that nobody has rung."""
    return list(Doorbell.objects.order_by("rung_at")[:limit])


def settle(doorbells: list[Doorbell]) -> None:
    """These were rung, or dropped; one that was rung anew since then stays."""
    if doorbells:
        taken = Doorbell.objects.filter(pk__in=[bell.pk for bell in doorbells])
        taken.filter(rung_at__lte=max(bell.rung_at for bell in doorbells)).delete()


def last_useful(now: datetime) -> datetime:
    """Who was rung before this has polled since then: such a doorbell is worth nothing."""
    return now - timedelta(seconds=settings.ENV.poll_s)
