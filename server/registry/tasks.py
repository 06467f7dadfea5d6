"""Celery's doors: one import, and the sweeps that see to all of them."""

from __future__ import annotations

from celery import shared_task

from server.registry import importing
from server.registry.services import imports


@shared_task
def run_import(import_id: str) -> None:
    """Nothing where it is not queued, or another one runs; then the next one is told of."""
    importing.run_import(import_id)
    imports.resend_imports()


@shared_task
def sweep_imports() -> None:
    """Imports of workers that were not heard of are tried again; what waits is sent again."""
    imports.expire_imports()
    imports.resend_imports()


@shared_task
def forget_downloads() -> None:
    """Drop what failed imports left behind."""
    importing.forget_downloads()
