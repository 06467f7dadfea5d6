"""The message to a worker; a lost one is sent again by the sweep."""

from __future__ import annotations

import logging

from kombu.exceptions import OperationalError

from server.config.celery import app

COMPARE = "server.comparisons.tasks.run_comparison"
logger = logging.getLogger(__name__)


def send(comparison_id: int) -> None:
    """Ask a worker to run a comparison."""
    try:
        app.send_task(COMPARE, args=[comparison_id], retry=False)
    except (OperationalError, OSError) as error:
        logger.warning("comparison %s waits for the sweep: %s", comparison_id, error)
