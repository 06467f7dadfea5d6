"""Follows a build's child: its lines become progress, and the lease lives as long as it does."""

from __future__ import annotations

import logging
import time

from pydantic import ValidationError

from inference_core.contract.build import BUILD_EVENT, BuildOutcome, BuildProgress
from inference_core.contract.recipe import BuildRecipe
from server.builds.models import Build
from server.builds.patience import DATABASE_AWAY, let_go_of_database
from server.builds.services.keys import settle_key
from server.builds.services.leases import LEASE_S, extend_lease

MAX_LOG = 32_000
STORE_S = 1.0
HEARTBEAT_S = min(2.0, LEASE_S / 4)
"""Short, because a build that is cancelled goes on until the next one."""
logger = logging.getLogger(__name__)


class Monitor:
    """Given to ``run_core``: ``on_line`` for every line, ``is_lost`` several times a second."""

    def __init__(self, build: Build, owner: str) -> None:
        self._build, self._owner = build, owner
        self._log, self._step, self._share = "", "", 0.0
        self._recipe: BuildRecipe | None = None
        self._is_settled = False
        self._is_dirty = False
        self._stored_at = self._held_at = time.monotonic()
        self.outcome: BuildOutcome | None = None
        self.is_needless = False
        """Whether the outcome is known, or being made, elsewhere: the child works for nothing."""

    def on_line(self, line: str) -> None:
        """Take an event; what is none goes to the log as it is."""
        try:
            event = BUILD_EVENT.validate_json(line)
        except ValidationError:
            self._note(line[:1000])
            return
        if isinstance(event, BuildProgress):
            # The first one only: it was told before the weights of a stranger were looked at.
            self._recipe = self._recipe or event.recipe
            self._step, self._share = event.step, event.share
            self._note(f"{event.share:4.0%}  {event.step}: {event.detail}")
        else:
            self.outcome = event
            self._note(f"{event.outcome}: {event.reason}")

    def is_lost(self) -> bool:
        """Store what is new and extend the lease; True where the child need not go on."""
        now = time.monotonic()
        since = now - self._stored_at
        is_keyed = self._recipe is None or self._is_settled
        if is_keyed and since < (STORE_S if self._is_dirty else HEARTBEAT_S):
            return False
        self._stored_at = now
        try:
            self.settle()
            is_held = self.is_needless or self._store()
        except DATABASE_AWAY as error:
            # A database that restarts: the child works on for as long as the lease is ours.
            let_go_of_database()
            logger.warning("build %s: the lease could not be extended: %s", self._build.pk, error)
            return now - self._held_at > LEASE_S
        self._held_at = now
        return self.is_needless or not is_held

    def settle(self) -> None:
        """Look the key up, once it was told; raises what ``settle_key`` does."""
        if self._recipe is None or self._is_settled:
            return
        goes_on = settle_key(build=self._build, owner=self._owner, recipe=self._recipe)
        self._is_settled, self.is_needless = True, not goes_on

    def close(self, stderr_tail: str) -> None:
        """Store the end of the log."""
        if stderr_tail:
            self._note(stderr_tail)
        self._store()

    def _store(self) -> bool:
        is_held = extend_lease(
            build=self._build,
            owner=self._owner,
            step=self._step,
            share=self._share,
            log=self._log,
        )
        self._is_dirty = False
        return is_held

    def _note(self, text: str) -> None:
        # PostgreSQL takes no NUL in a text.
        self._log = f"{self._log}{text.replace(chr(0), '')}\n"[-MAX_LOG:]
        self._is_dirty = True
