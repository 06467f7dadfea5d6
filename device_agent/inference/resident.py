"""The resident: the child that judges parts, restarted when it dies, given up when that is vain."""

from __future__ import annotations

import sqlite3
import time

from device_agent.config import Config
from device_agent.errors import Rejected
from device_agent.inference.child import Child
from device_agent.inference.children import Children
from device_agent.inference.limits import rank
from device_agent.inference.restarts import RestartBudget
from device_agent.journal import Journal
from device_agent.log import logger
from device_agent.notices import Notice
from device_agent.store import Store
from inference_core.contract.device import DeviceConfig, ProgressError

_STEADY_S = 60.0
"""A resident that has run this long has proven that restarting helps."""

_LONGEST_DELAY_S = 60.0


class Resident:
    """Guarded by the supervisor's lock; ``child`` is read by the children's threads without it."""

    def __init__(
        self, config: Config, store: Store, journal: Journal, children: Children, notice: Notice
    ) -> None:
        self._store, self._journal = store, journal
        self._children, self._notice = children, notice
        self._budget = RestartBudget(
            deaths=config.restart_deaths,
            window_s=config.restart_window_s,
            base_s=config.retry_base_s,
            cap_s=_LONGEST_DELAY_S,
        )
        self._restart_at = 0.0
        self._is_down = False
        self.child: Child | None = None

    def tend(self, device: DeviceConfig, candidate: Child | None, *, is_paused: bool) -> None:
        """Start it, notice that it died, start it again, later."""
        if self.child:
            error = self._children.failure_of(self.child)
            if error is None:
                self._note_steady(self.child)
                return
            self._bury(self.child, error, may_condemn=candidate is None)
        if time.monotonic() >= self._restart_at:
            self._start(device, candidate, is_paused=is_paused)

    def adopt(self, child: Child | None) -> None:
        """From now on this child is the resident; None: ``tend`` starts what is current."""
        self.end()
        self.child = child
        self._budget.reset()
        self._restart_at = 0.0
        if child:
            rank(child.pid, "resident")

    def end(self) -> None:
        """Stop it."""
        if self.child:
            self.child.stop()
        self.child = None

    def _start(self, device: DeviceConfig, candidate: Child | None, *, is_paused: bool) -> None:
        """Start ``current``.

        Where its files have rotted it is no longer current: the release before it runs, and the
        planner sees that the goal has to be fetched again.
        """
        while (sha256 := self._store.current) is not None:
            if candidate and candidate.release_sha256 == sha256:
                return  # a commit is on its way: the candidate is about to be the resident
            try:
                release = self._store.open(sha256)
            except Rejected as error:
                self._notice("release-damaged", str(error), sha256)
                previous = self._store.previous
                self._store.restore(previous if previous != sha256 else None)
                continue
            self.child = self._children.start(release, device, "resident", is_paused=is_paused)
            logger.info("inference started: release %.12s, pid %d", sha256, self.child.pid)
            return

    def _bury(self, child: Child, error: ProgressError, *, may_condemn: bool) -> None:
        sha256 = child.release_sha256
        delay_s = self._budget.note_death(sha256, time.monotonic())
        self._restart_at = time.monotonic() + delay_s
        logger.warning(
            "inference died (%s: %s); again in %.1f s", error.cause, error.detail, delay_s
        )
        self.end()
        if not self._is_down:
            self._is_down = True
            self._notice("inference-down", f"{error.cause}: {error.detail}", sha256)
        if self._budget.is_spent and may_condemn:
            self._condemn(sha256, error)

    def _condemn(self, sha256: str, error: ProgressError) -> None:
        """Go back to the last good release; without one, restarting goes on.

        The journal first: after a power cut between the two, the release dies and is condemned
        once more, instead of being brought back by the planner.
        """
        previous = self._store.previous
        if previous is None or previous == sha256 or self._store.current != sha256:
            return
        detail = f"it died again and again, last of {error.cause}: {error.detail}"
        try:
            self._store.open(previous)
            self._journal.condemn(sha256, previous, detail)
            self._store.restore(previous)
        except (Rejected, OSError, sqlite3.Error) as problem:
            logger.warning("cannot go back from release %.12s: %s", sha256, problem)
            return
        self._restart_at = 0.0
        self._notice("release-condemned", detail, sha256)

    def _note_steady(self, child: Child) -> None:
        if child.is_ready and self._is_down:
            self._is_down = False
            self._notice("inference-up", "", child.release_sha256)
        if child.age_s > _STEADY_S:
            self._budget.reset()
