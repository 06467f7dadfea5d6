"""Looks after the box several times a second, whatever the deployment is doing."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable

from device_agent.cameras import Cameras
from device_agent.config import Config
from device_agent.hardware.health import HealthReader
from device_agent.log import Edge, logger
from device_agent.outbox import Outbox
from device_agent.summaries import Summaries
from device_agent.supervisor import Supervisor
from inference_core.contract.telemetry import Health

_TICK_S = 0.2
_STATUS_EVERY_S = 2.0
_SAMPLING_EVERY_S = 1.0


class Keeper(threading.Thread):
    """Restarts inference, flushes summaries, records health, and writes the status file."""

    def __init__(
        self,
        config: Config,
        supervisor: Supervisor,
        summaries: Summaries,
        outbox: Outbox,
        cameras: Cameras,
        *,
        on_status: Callable[[], None],
        on_sampling: Callable[[], None],
    ) -> None:
        super().__init__(name="keeper", daemon=True)
        self._supervisor = supervisor
        self._summaries, self._outbox, self._cameras = summaries, outbox, cameras
        self._health = HealthReader(config.data_dir)
        self.health: Health | None = None
        self._stop_wanted = threading.Event()
        self._keeping = Edge("looking after the box")
        self._chores = [
            _Chore(_SAMPLING_EVERY_S, on_sampling),  # before a child is started
            _Chore(0.0, supervisor.tick),
            _Chore(config.summary_every_s, self.flush),
            _Chore(config.health_every_s, self._record_health),
            _Chore(0.0, self._record_edges),
            _Chore(_STATUS_EVERY_S, on_status),
        ]

    def run(self) -> None:
        """Do each chore when it is due, until stopped."""
        while not self._stop_wanted.wait(_TICK_S):
            self._turn()

    def stop(self) -> None:
        """End, and flush what was counted."""
        self._stop_wanted.set()
        if self.is_alive():
            self.join()

    def flush(self) -> None:
        """Make the summaries durable."""
        summaries, pairs = self._summaries.flush(), self._supervisor.flush_pairs()
        if summaries or pairs:
            self._outbox.append(*summaries, *pairs)

    def _turn(self) -> None:
        try:
            for chore in self._chores:
                chore.do_when_due()
        except (OSError, sqlite3.Error) as error:  # a full disk must not end inference
            self._keeping.broke(error)
        else:
            self._keeping.works()

    def _record_health(self) -> None:
        health = self._health.read(
            child_rss_bytes=self._supervisor.rss_bytes,
            cameras=self._cameras.states(),
            child_starts=self._supervisor.child_starts,
        )
        self.health = health
        self._outbox.append(health)

    def _record_edges(self) -> None:
        for event in self._cameras.edges():
            logger.warning("%s: %s", event.name, event.detail)
            self._outbox.append(event)


class _Chore:
    def __init__(self, every_s: float, work: Callable[[], None]) -> None:
        self._every_s, self._work = every_s, work
        self._due_at = 0.0

    def do_when_due(self) -> None:
        now = time.monotonic()
        if now >= self._due_at:
            self._due_at = now + self._every_s
            self._work()
