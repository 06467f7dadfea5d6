"""Things to do after a commit: a row of the same transaction, and a relay that repeats it.

Delivery is at least once: a handler may run twice for a message, and must not mind.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from django.db import transaction
from django.db.models import F

from server.lib import clock
from server.lib.models import OutboxMessage

Handler = Callable[[dict[str, Any]], None]
_handlers: dict[str, Handler] = {}
logger = logging.getLogger(__name__)


def handler(topic: str) -> Callable[[Handler], Handler]:
    """Register the one function that does what messages of ``topic`` ask for."""

    def register(function: Handler) -> Handler:
        if topic in _handlers:
            raise ValueError(f"topic {topic!r} has a handler already: {_handlers[topic]}")
        _handlers[topic] = function
        return function

    return register


def enqueue(topic: str, payload: dict[str, Any]) -> None:
    """Write a message in the transaction of its cause; delivery is tried right after commit."""
    message = OutboxMessage.objects.create(topic=topic, payload=payload, created_at=clock.now())
    transaction.on_commit(partial(_deliver, message.pk))


def relay(limit: int = 100) -> int:
    """Deliver up to ``limit`` waiting messages; returns how many were delivered.

    The least tried go first, so that a message which cannot be delivered blocks no other.
    """
    waiting = OutboxMessage.objects.order_by("attempts", "pk").values_list("pk", flat=True)
    return sum(_deliver(pk) for pk in list(waiting[:limit]))


def _deliver(pk: int) -> bool:
    """Whether this call delivered the message; False also where another relay has it."""
    try:
        with transaction.atomic():
            waiting = OutboxMessage.objects.select_for_update(skip_locked=True)
            message = waiting.filter(pk=pk).first()
            if message is None:
                return False
            _handlers[message.topic](message.payload)
            message.delete()
    except Exception:  # whatever a handler does, the message stays and the relay goes on
        logger.exception("outbox message %s could not be delivered; it stays", pk)
        OutboxMessage.objects.filter(pk=pk).update(attempts=F("attempts") + 1)
        return False
    return True
