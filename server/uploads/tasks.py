"""Celery's doors."""

from __future__ import annotations

from uuid import UUID

from celery import shared_task

from server.uploads import services


@shared_task
def inspect_upload(upload_id: str) -> None:
    """Sent when the last byte came."""
    services.inspect_upload(upload_id=UUID(upload_id))


@shared_task
def sweep_uploads() -> None:
    """Abandoned, lost and waiting uploads."""
    services.sweep_uploads()
