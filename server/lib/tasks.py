"""Sweeps of what every app leaves behind."""

from __future__ import annotations

from celery import shared_task

from server.lib import outbox


@shared_task
def relay_outbox() -> None:
    """Deliver what could not be delivered right after its commit."""
    outbox.relay()
