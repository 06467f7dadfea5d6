"""The message to a worker; a lost one is sent again by the sweep."""

from __future__ import annotations

import logging
from uuid import UUID

from kombu.exceptions import OperationalError

from server.config.celery import app

INSPECT = "server.uploads.tasks.inspect_upload"
logger = logging.getLogger(__name__)


def send_inspection(upload_id: UUID) -> None:
    """Ask a worker to look at an upload that is whole."""
    try:
        app.send_task(INSPECT, args=[str(upload_id)], retry=False)
    except (OperationalError, OSError) as error:
        logger.warning("upload %s waits for the sweep: %s", upload_id, error)
