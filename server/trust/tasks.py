"""Keeps the repository fresh, and the list of certificates short."""

from __future__ import annotations

import logging

from celery import shared_task

from server.trust import certificates, services

logger = logging.getLogger(__name__)


@shared_task
def refresh_timestamp() -> None:
    """Sign anew whatever ends soon; see ``services.refresh_timestamp``."""
    renewed = services.refresh_timestamp()
    if renewed:
        logger.info("signed anew: %s", ", ".join(renewed))


@shared_task
def forget_certificates() -> None:
    """Drop certificates that ended and were followed by another."""
    certificates.forget_certificates()
