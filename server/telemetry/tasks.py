"""The sweep that forgets."""

from __future__ import annotations

from celery import shared_task

from server.telemetry import logs


@shared_task
def forget_logs() -> None:
    """Drop log bundles and requests that are too old."""
    logs.forget_logs()
