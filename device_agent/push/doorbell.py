"""The doorbell: the server rings, the device asks. All is well without it, only later."""

from __future__ import annotations

import random
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from device_agent.backoff import Backoff
from device_agent.errands import SELDOM_S
from device_agent.errors import Unavailable
from device_agent.identity import Certificate, Identity
from device_agent.log import Edge, logger
from device_agent.notices import Notice
from inference_core.contract.device import Broker, Goal

if TYPE_CHECKING:
    from device_agent.push.session import Session

_LOOK_S = 0.5
_RING_EVERY_S = 1.0
_STEADY_S = 60.0
"""A session that lasted this long was a success: the next failure starts small again."""

_CLONE_TURNS, _CLONE_WINDOW_S = 5, 3600.0
"""So many short sessions in a row that the broker ended, and let the device in again at once."""
_STOP_LIMIT_S = 2.0


class Doorbell:
    """An errand with a thread of its own, which begins with the first goal that names a broker.

    ``ring`` is called at most once a second, up to ``spread_s`` after the bell, so that a bell
    for a whole fleet does not bring the whole fleet at once. ``doubt`` hears when the broker and
    the certificate do not go together. ``notice(name, detail, release_sha256)`` hears of edges.
    """

    name = "the doorbell"

    def __init__(
        self,
        identity: Identity,
        *,
        ring: Callable[[], None],
        doubt: Callable[[], None],
        notice: Notice,
        backoff: Backoff,
        spread_s: float,
    ) -> None:
        self._identity, self._ring, self._doubt, self._notice = identity, ring, doubt, notice
        self._backoff, self._spread_s = backoff, spread_s
        self._broker: Broker | None = None
        self._state: str | None = None
        self._thread: threading.Thread | None = None
        self._stop_wanted = threading.Event()
        self._edge = Edge("the doorbell, without which this device polls")
        self._ring_at: float | None = None
        self._rang_at = self._began_at = 0.0
        self._turned_out: deque[float] = deque(maxlen=_CLONE_TURNS)
        self._told: set[str] = set()

    @property
    def state(self) -> str | None:
        """For a person: connected, or away and why. None where the server has no doorbell."""
        return self._state

    def turn(self, goal: Goal) -> float:
        """Follow the goal's broker; the thread does the rest, so that nothing waits for it."""
        self._broker = goal.broker
        if goal.broker and self._thread is None:
            self._thread = threading.Thread(target=self._run, name="doorbell", daemon=True)
            self._thread.start()
        return SELDOM_S

    def close(self) -> None:
        """Say that the device was stopped, and end; a thread that hangs is left behind."""
        self._stop_wanted.set()
        if self._thread:
            self._thread.join(_STOP_LIMIT_S)

    def _run(self) -> None:
        try:
            from device_agent.push.session import Mistrusted, TurnedOut
        except ImportError as error:
            self._lost(f"this device lacks a package: {error}")
            return
        while not self._stop_wanted.is_set():
            wanted = self._wanted()
            if wanted is None:
                self._state = "waiting for a certificate" if self._broker else None
                self._stop_wanted.wait(_LOOK_S)
                continue
            try:
                self._attend(wanted)
            except TurnedOut as error:
                self._note_turned_out(str(error))
                self._lose(wanted, error)
            except Mistrusted as error:
                self._doubt()
                self._lose(wanted, error)
            except (Unavailable, OSError, sqlite3.Error) as error:
                self._lose(wanted, error)

    def _wanted(self) -> tuple[Broker, Certificate] | None:
        broker, certificate = self._broker, self._identity.certificate
        return (broker, certificate) if broker and certificate else None

    def _attend(self, wanted: tuple[Broker, Certificate]) -> None:
        """One session, until it is lost, or another one is wanted."""
        from device_agent.push.session import Session

        broker, certificate = wanted
        session = Session(
            str(certificate.device_id),
            broker,
            self._identity.make_tls_context(certificate),
            on_bell=self._hear,
        )
        session.open()
        self._began_at = time.monotonic()
        while not self._stop_wanted.is_set() and self._wanted() == wanted:
            session.turn(self._pause_s())
            self._ring_when_due()
            self._tell(session, broker)
            if time.monotonic() - self._began_at > _STEADY_S:
                self._backoff.reset()
        session.close(says_stopped=self._stop_wanted.is_set() or self._wanted() is None)

    def _tell(self, session: Session, broker: Broker) -> None:
        if not session.is_up:
            return
        self._edge.works()
        self._state = f"connected to {broker.host}:{broker.port}"
        if session.denied:
            self._state += f"; denied {session.denied}"
            self._tell_once("push-denied", f"the broker denies {session.denied}")

    def _lose(self, wanted: tuple[Broker, Certificate], error: Exception) -> None:
        """Wait before the next attempt, less long where broker or certificate change."""
        self._lost(f"{wanted[0].host}:{wanted[0].port}: {error}")
        ends_at = time.monotonic() + self._backoff.next_s()
        while time.monotonic() < ends_at and self._wanted() == wanted:
            self._ring_when_due()
            if self._stop_wanted.wait(min(_LOOK_S, max(0.0, ends_at - time.monotonic()))):
                return

    def _lost(self, reason: str) -> None:
        self._edge.broke(reason)
        self._state = f"away: {reason}"

    def _note_turned_out(self, reason: str) -> None:
        """Once may be a restart of the broker; again and again it is a twin."""
        now = time.monotonic()
        if now - self._began_at > _STEADY_S:
            return
        self._turned_out.append(now)
        is_full = len(self._turned_out) == _CLONE_TURNS
        if is_full and now - self._turned_out[0] < _CLONE_WINDOW_S:
            self._tell_once(
                "identity-cloned",
                "most likely another box has this device's key, and they take each other's place "
                f"at the broker; enrol one of them afresh with a new key ({reason})",
            )

    def _tell_once(self, name: str, detail: str) -> None:
        if name not in self._told:
            self._notice(name, detail, None)
            self._told.add(name)

    def _hear(self) -> None:
        """However many bells come before the ring is due, it is one ring."""
        if self._ring_at is None:
            now = time.monotonic()
            delay_s = random.uniform(0.0, self._spread_s)  # noqa: S311 - spreads a fleet, no secret
            self._ring_at = max(now + delay_s, self._rang_at + _RING_EVERY_S)

    def _pause_s(self) -> float:
        if self._ring_at is None:
            return _LOOK_S
        return min(_LOOK_S, max(0.0, self._ring_at - time.monotonic()))

    def _ring_when_due(self) -> None:
        if self._ring_at is not None and time.monotonic() >= self._ring_at:
            self._ring_at, self._rang_at = None, time.monotonic()
            logger.debug("the doorbell rang")
            self._ring()
