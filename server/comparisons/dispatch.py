"""The message to a worker; a lost one is sent again by the sweep."""

from __future__ import annotations

import logging

from django.core.cache import cache
from kombu.exceptions import OperationalError

from server.config.celery import app

COMPARE = "server.comparisons.tasks.run_comparison"
RESEND_AFTER_S = 60
logger = logging.getLogger(__name__)


def send(comparison_id: int) -> None:
    """Ask a worker to run a comparison."""
    cache.set(_key(comparison_id), 1, RESEND_AFTER_S)
    try:
        app.send_task(COMPARE, args=[comparison_id], retry=False)
    except (OperationalError, OSError) as error:
        logger.warning("comparison %s waits for the sweep: %s", comparison_id, error)
        forget(comparison_id)


def send_again(comparison_id: int) -> None:
    """The same, unless the last message had no time yet: nobody may be there to take them."""
    if cache.get(_key(comparison_id)) is None:
        send(comparison_id)


def forget(comparison_id: int) -> None:
    """Let the message be sent again at once."""
    cache.delete(_key(comparison_id))


def _key(comparison_id: int) -> str:
    return f"sent:{COMPARE}:{comparison_id}"
