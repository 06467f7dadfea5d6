"""Delivers what waits: progress first, then telemetry in order, then samples."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable

from device_agent.backoff import Backoff
from device_agent.errors import AgentError, Rejected, Unavailable
from device_agent.gateway import Gateway
from device_agent.journal import Journal
from device_agent.log import Edge, logger
from device_agent.outbox import Outbox
from device_agent.sampling.samples import Samples
from inference_core.contract.telemetry import MAX_RECORDS_IN_BATCH, Batch, Gap

_PACE_S = 0.1
"""Between two deliveries of a backlog, so that a returning fleet does not drown the server."""


class Courier(threading.Thread):
    """A thread with its own gateway, so that a slow server never delays a deployment."""

    def __init__(
        self,
        gateway: Gateway,
        journal: Journal,
        outbox: Outbox,
        samples: Samples,
        *,
        backoff: Backoff,
        idle_s: float,
    ) -> None:
        super().__init__(name="courier", daemon=True)
        self._gateway, self._journal = gateway, journal
        self._outbox, self._samples = outbox, samples
        self._backoff, self._idle_s = backoff, idle_s
        self._batch_limit = MAX_RECORDS_IN_BATCH
        self._stop_wanted = threading.Event()
        self._delivery = Edge("deliveries")

    def run(self) -> None:
        """Deliver until stopped."""
        delay_s = 0.0
        while not self._stop_wanted.wait(delay_s):
            delay_s = self._turn()

    def stop(self, *, close: bool = True) -> None:
        """End after the delivery in hand; without ``close`` the caller may still deliver."""
        self._stop_wanted.set()
        if self.is_alive():
            self.join()
        if close:
            self._gateway.close()

    def deliver_all(self) -> None:
        """Deliver everything now; ``Unavailable`` when the server does not take it."""
        while self.deliver_next():
            pass

    def deliver_next(self) -> bool:
        """Deliver the most urgent thing; False when nothing waits."""
        return self._deliver_progress() or self._deliver_telemetry() or self._deliver_sample()

    def _turn(self) -> float:
        """One delivery; seconds until the next."""
        try:
            has_delivered = self.deliver_next()
        except (AgentError, sqlite3.Error, OSError) as error:
            self._delivery.broke(error)
            return self._backoff.next_s(getattr(error, "delay_s", None))
        self._backoff.reset()
        if has_delivered:
            self._delivery.works()
        return _PACE_S if has_delivered else self._idle_s

    def _deliver_progress(self) -> bool:
        waiting = self._journal.reports.next()
        if waiting is None:
            return False
        deployment_id, progress = waiting
        try:
            answer = self._gateway.report_progress(deployment_id, progress)
        except Rejected as error:
            self._unless_stranger(error, lambda: self._journal.reports.refuse(*waiting))
            return True
        if not self._journal.reports.settle(deployment_id, progress, answer):
            logger.info("the server closed deployment %s: %s", deployment_id, answer.reply.phase)
            self._journal.supersede(str(deployment_id))
        return True

    def _deliver_telemetry(self) -> bool:
        batch = self._outbox.peek(self._batch_limit)
        if batch is None:
            return False
        try:
            acked_seq = self._gateway.send_telemetry(batch).acked_seq
        except Rejected as error:
            self._unless_stranger(error, lambda: self._narrow(batch))
            return True
        self._batch_limit = MAX_RECORDS_IN_BATCH
        if acked_seq < batch.first_seq - 1:
            logger.warning("the server has forgotten records from %d on", acked_seq + 1)
            self._outbox.fill_hole(batch, acked_seq)
        elif not self._outbox.acknowledge(batch.boot_id, acked_seq):
            raise Unavailable(f"the server acknowledged nothing above record {acked_seq}")
        return True

    def _narrow(self, batch: Batch) -> None:
        """Halve a refused batch until the poison record stands alone; a gap takes its place."""
        if len(batch.records) > 1:
            self._batch_limit = len(batch.records) // 2
        elif isinstance(batch.records[0].body, Gap):
            self._outbox.acknowledge(batch.boot_id, batch.records[0].seq)
        else:
            self._outbox.quarantine(batch.boot_id, batch.records[0])

    def _deliver_sample(self) -> bool:
        sample = self._samples.next()
        if sample is None:
            return False
        try:
            self._gateway.send_sample(*sample)
        except Rejected as error:
            self._unless_stranger(error, lambda: self._samples.refuse(sample[0]))
        else:
            self._samples.remove(sample[0])
        return True

    def _unless_stranger(self, error: Rejected, drop: Callable[[], None]) -> None:
        """Drop what the server will never take, but nothing while it does not know us."""
        if error.is_about_this_device:
            raise Unavailable(str(error)) from error
        logger.error("the server refused a delivery: %s", error)
        drop()
