"""The message to a worker; a lost one is sent again by the sweep."""

from __future__ import annotations

import logging
from uuid import UUID

from django.core.cache import cache
from kombu.exceptions import OperationalError

from server.config.celery import app

INSPECT = "server.uploads.tasks.inspect_upload"
RESEND_AFTER_S = 60
logger = logging.getLogger(__name__)


def send_inspection(upload_id: UUID) -> None:
    """Ask a worker to look at an upload that is whole."""
    cache.set(_key(upload_id), 1, RESEND_AFTER_S)
    try:
        app.send_task(INSPECT, args=[str(upload_id)], retry=False)
    except (OperationalError, OSError) as error:
        logger.warning("upload %s waits for the sweep: %s", upload_id, error)
        forget(upload_id)


def send_again(upload_id: UUID) -> None:
    """The same, unless the last message had no time yet: nobody may be there to take them."""
    if cache.get(_key(upload_id)) is None:
        send_inspection(upload_id)


def forget(upload_id: UUID) -> None:
    """Let the message be sent again at once."""
    cache.delete(_key(upload_id))


def _key(upload_id: UUID) -> str:
    return f"sent:{INSPECT}:{upload_id}"
