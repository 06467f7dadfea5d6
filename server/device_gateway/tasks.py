"""Sweeps of the gateway."""

from __future__ import annotations

from celery import shared_task

from server.device_gateway import services


@shared_task
def forget_assertions() -> None:
    """Drop used assertions that have expired."""
    services.forget_assertions()
