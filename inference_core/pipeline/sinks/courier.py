"""Delivery that never holds a verdict up: a bounded queue, and one thread a receiver."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import deque
from dataclasses import dataclass

from inference_core.contract.results import FrameResult
from inference_core.pipeline.frames import Frame
from inference_core.pipeline.sinks.base import Link, Parcel, Refused, Unreachable

_log = logging.getLogger(__name__)
FIRST_WAIT_S = 0.5


@dataclass(frozen=True)
class Account:
    """What became of the parcels: ``accepted = delivered + dropped + waiting``, always."""

    accepted: int
    delivered: int
    dropped: int
    waiting: int
    """In the queue or in the courier's hand."""


class Courier:
    """A ``Sink`` that hands results to a link, in order, the oldest dropped where it must be.

    Tells of a lost receiver once and of its return once, with how many were dropped between.
    """

    def __init__(self, name: str, link: Link, first_wait_s: float = FIRST_WAIT_S) -> None:
        self._name, self._link, self._traits = name, link, link.traits
        self._changed = threading.Condition()
        self._queue: deque[Parcel] = deque()
        self._has_one_in_hand = False
        self._accepted = self._delivered = self._dropped = 0
        self._first_wait_s = self._wait_s = first_wait_s
        self._trouble: str | None = None
        self._dropped_before = 0
        self._is_closing = self._is_over = False
        self._thread = threading.Thread(target=self._run, name=f"sink {name}", daemon=True)
        self._thread.start()

    @property
    def account(self) -> Account:
        """How many parcels went where, at one moment."""
        with self._changed:
            waiting = len(self._queue) + self._has_one_in_hand
            return Account(self._accepted, self._delivered, self._dropped, waiting)

    def write(self, frame: Frame, result: FrameResult) -> None:
        """Queues the result and returns at once; never raises."""
        parcel = Parcel(result, frame.picture if self._traits.wants_picture else None)
        with self._changed:
            self._accepted += 1
            if self._is_closing:
                self._dropped += 1
                return
            if len(self._queue) >= self._traits.capacity:
                self._queue.popleft()
                self._dropped += 1
            self._queue.append(parcel)
            self._changed.notify_all()

    def close(self, timeout_s: float = 5.0) -> None:
        """Delivers what waits while the receiver takes it; a receiver that is away gets nothing."""
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
        self._thread.join(timeout_s)
        with self._changed:
            left = len(self._queue) + self._has_one_in_hand
            self._give_up()
        if left:
            _log.warning("sink %s: %d results were not delivered", self._name, left)

    def _run(self) -> None:
        try:
            while self._serve():
                pass
        finally:
            self._link.close()

    def _serve(self) -> bool:
        """One parcel, or one sign of life. False at the end."""
        parcel = self._take()
        if parcel is None and self._is_closing:
            return False
        try:
            self._hand_over(parcel)
        except Unreachable as error:
            return self._postpone(parcel, str(error))
        except Refused as error:
            self._settle(parcel, is_delivered=False)
            self._tell(f"refuses results: {error}")
        except Exception as error:  # noqa: BLE001 a library's fault must not end deliveries
            return self._postpone(parcel, f"{type(error).__name__}: {error}")
        else:
            self._settle(parcel, is_delivered=True)
            self._tell(None)
        self._wait_s = self._first_wait_s
        return True

    def _hand_over(self, parcel: Parcel | None) -> None:
        if parcel is None:
            self._link.beat()
        else:
            self._link.deliver(parcel)

    def _take(self) -> Parcel | None:
        """The oldest parcel that is fresh; None when a sign of life is due, or at the end."""
        with self._changed:
            self._changed.wait_for(
                lambda: bool(self._queue) or self._is_closing, self._traits.beat_s
            )
            while self._queue:
                parcel = self._queue.popleft()
                if not self._is_stale(parcel):
                    self._has_one_in_hand = True
                    return parcel
                self._dropped += 1
        return None

    def _is_stale(self, parcel: Parcel) -> bool:
        limit_s = self._traits.max_age_s
        return limit_s is not None and time.monotonic() - parcel.made_s > limit_s

    def _settle(self, parcel: Parcel | None, *, is_delivered: bool) -> None:
        with self._changed:
            if parcel is None or self._is_over:
                return
            self._has_one_in_hand = False
            self._delivered += is_delivered
            self._dropped += not is_delivered

    def _postpone(self, parcel: Parcel | None, reason: str) -> bool:
        """Puts the parcel back, first in line, and waits; a full queue has no room for it."""
        self._tell(f"is lost: {reason}")
        with self._changed:
            if self._is_over:
                return False
            if parcel is not None:
                self._has_one_in_hand = False
                if len(self._queue) < self._traits.capacity:
                    self._queue.appendleft(parcel)
                else:
                    self._dropped += 1
            # Keeps a fleet that lost the same broker out of step.
            wait_s = self._wait_s * random.uniform(0.8, 1.2)  # noqa: S311 not a secret
            self._changed.wait_for(lambda: self._is_closing, wait_s)
            self._wait_s = min(self._wait_s * 2, self._traits.longest_wait_s)
            return not self._is_closing

    def _give_up(self) -> None:
        """Nothing is delivered from here on, as far as the account goes."""
        self._is_over = True
        self._dropped += len(self._queue) + self._has_one_in_hand
        self._queue.clear()
        self._has_one_in_hand = False

    def _tell(self, trouble: str | None) -> None:
        """Logs the edge, not the level: only the first of equal troubles, and their end."""
        kind = None if trouble is None else trouble.split(":")[0]
        if kind == self._trouble:
            return
        if trouble is not None:
            _log.warning("sink %s %s", self._name, trouble)
        else:
            dropped = self.account.dropped - self._dropped_before
            _log.warning("sink %s is back; %d results were dropped", self._name, dropped)
        self._trouble, self._dropped_before = kind, self.account.dropped
