"""Follows a build's child: its lines become progress, and the lease lives as long as it does."""

from __future__ import annotations

import logging
import time

from django.db import OperationalError
from pydantic import ValidationError

from inference_core.contract.build import BUILD_EVENT, BuildOutcome, BuildProgress
from server.builds.models import Build
from server.builds.services.leases import LEASE_S, extend_lease

MAX_LOG = 32_000
STORE_S = 1.0
HEARTBEAT_S = LEASE_S / 4
logger = logging.getLogger(__name__)


class Monitor:
    """Given to ``run_core``: ``on_line`` for every line, ``is_lost`` several times a second."""

    def __init__(self, build: Build, owner: str) -> None:
        self._build, self._owner = build, owner
        self._log, self._step, self._share = "", "", 0.0
        self._is_dirty = False
        self._stored_at = self._held_at = time.monotonic()
        self.outcome: BuildOutcome | None = None

    def on_line(self, line: str) -> None:
        """Take an event; what is none goes to the log as it is."""
        try:
            event = BUILD_EVENT.validate_json(line)
        except ValidationError:
            self._note(line[:1000])
            return
        if isinstance(event, BuildProgress):
            self._step, self._share = event.step, event.share
            self._note(f"{event.share:4.0%}  {event.step}: {event.detail}")
        else:
            self.outcome = event
            self._note(f"{event.outcome}: {event.reason}")

    def is_lost(self) -> bool:
        """Store what is new and extend the lease; True where it is somebody else's by now."""
        now = time.monotonic()
        since = now - self._stored_at
        if since < (STORE_S if self._is_dirty else HEARTBEAT_S):
            return False
        self._stored_at = now
        try:
            is_held = self._store()
        except OperationalError as error:
            # A database that restarts: the child works on for as long as the lease is ours.
            logger.warning("build %s: the lease could not be extended: %s", self._build.pk, error)
            return now - self._held_at > LEASE_S
        self._held_at = now
        return not is_held

    def close(self, stderr_tail: str) -> None:
        """Store the end of the log."""
        if stderr_tail:
            self._note(stderr_tail)
        self._store()

    def _store(self) -> bool:
        self._is_dirty = False
        return extend_lease(
            build=self._build,
            owner=self._owner,
            step=self._step,
            share=self._share,
            log=self._log,
        )

    def _note(self, text: str) -> None:
        # PostgreSQL takes no NUL in a text.
        self._log = f"{self._log}{text.replace(chr(0), '')}\n"[-MAX_LOG:]
        self._is_dirty = True
