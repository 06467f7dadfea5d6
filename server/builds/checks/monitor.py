"""Follows a check's child: its lines become progress, and the lease lives as long as it does."""

from __future__ import annotations

import logging
import time

from pydantic import ValidationError

from inference_core.contract.golden import PIPELINE_EVENT, PipelineOutcome, PipelineProgress
from server.builds.checks.leases import LEASE_S, extend_check
from server.builds.models import PipelineCheck
from server.builds.patience import DATABASE_AWAY, let_go_of_database

STORE_S = 2.0
HEARTBEAT_S = LEASE_S / 4
logger = logging.getLogger(__name__)


class CheckMonitor:
    """Given to ``run_core``: ``on_line`` for every line, ``is_lost`` several times a second."""

    def __init__(self, check: PipelineCheck, owner: str) -> None:
        self._check, self._owner = check, owner
        self._share, self._stored_share = 0.0, 0.0
        self._stored_at = self._held_at = time.monotonic()
        self.outcome: PipelineOutcome | None = None

    def on_line(self, line: str) -> None:
        """Take an event; what is none is let go."""
        try:
            event = PIPELINE_EVENT.validate_json(line)
        except ValidationError:
            return
        if isinstance(event, PipelineProgress):
            self._share = event.share
        else:
            self.outcome = event

    def is_lost(self) -> bool:
        """Store the progress and extend the lease; True where it is somebody else's by now."""
        now = time.monotonic()
        is_due = STORE_S if self._share != self._stored_share else HEARTBEAT_S
        if now - self._stored_at < is_due:
            return False
        self._stored_at = now
        try:
            is_held = extend_check(check=self._check, owner=self._owner, share=self._share)
        except DATABASE_AWAY as error:
            let_go_of_database()
            # A database that restarts: the child works on for as long as the lease is ours.
            logger.warning("%s: the lease could not be extended: %s", self._check, error)
            return now - self._held_at > LEASE_S
        self._stored_share, self._held_at = self._share, now
        return not is_held
