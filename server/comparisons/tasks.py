"""Celery's doors."""

from __future__ import annotations

from celery import shared_task

from server.comparisons import services, worker


@shared_task
def run_comparison(comparison_id: int) -> None:
    """Sent when it is asked for."""
    worker.run_comparison(comparison_id)


@shared_task
def sweep_comparisons() -> None:
    """Lost messages and dead workers."""
    services.sweep_comparisons()
