"""Edges that a person may want to read of: in the log of the box, and told to the server."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from device_agent.log import logger
from device_agent.outbox import Outbox
from inference_core.contract.telemetry import Event

Notice = Callable[[str, str, "str | None"], None]
"""Takes the name, the detail and the release of an edge."""


class Notices:
    """From any thread. Whoever has something to tell gets on with his work, whatever the disk."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    def tell(self, name: str, detail: str, release_sha256: str | None = None) -> None:
        """A ``Notice``: logged, and kept until the server has it."""
        logger.warning("%s: %s", name, detail)
        event = Event(name=name, detail=detail[:2000], release_sha256=release_sha256)
        try:
            self._outbox.append(event)
        except sqlite3.Error as error:
            logger.warning("the outbox did not take it: %s", error)
