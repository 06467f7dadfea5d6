"""An agent that was just put in place proves itself, or goes: the launcher counts how often."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

from device_agent.log import logger
from device_agent.update.agent_code import AgentCode


@dataclass(frozen=True)
class Standing:
    """How this agent does now; each is a sentence of what is wrong, or None."""

    loop: str | None
    contact: str | None
    inference: str | None


class Proof:
    """Looked after by the keeper. ``on_proven`` hears the signed counter of what proved itself.

    An agent that hangs before anybody looks is ended by the alarm that its launcher has set.
    """

    def __init__(self, code: AgentCode, *, hold_s: float, on_proven: Callable[[int], None]) -> None:
        self._code, self._hold_s, self._on_proven = code, hold_s, on_proven
        self._started_at = time.monotonic()
        self._well_since: float | None = None
        self._is_settled = code.digest is None or code.starts.first != code.digest
        self.failure: str | None = None

    def look(self, now: Standing) -> None:
        """Judge; sets ``failure`` when the time is up, and this agent should end itself."""
        if self._is_settled or self.failure:
            return
        starts = self._code.starts
        if starts.is_proven:
            if now.loop is None:
                self._code.count_afresh()
                self._is_settled = True
            return
        inference = now.inference if starts.needs_inference else None
        problem = now.loop or now.contact or inference
        if problem is None:
            self._hold()
        else:
            self._well_since = None
            if time.monotonic() - self._started_at > starts.limit_s:
                self._fail(f"after {starts.limit_s} s: {problem}")

    def _hold(self) -> None:
        self._well_since = self._well_since or time.monotonic()
        if time.monotonic() - self._well_since >= self._hold_s:
            proven = self._code.prove()
            signal.alarm(0)
            self._is_settled = True
            self._on_proven(proven.counter)
            logger.info("this agent has proven itself: %.12s", self._code.digest)

    def _fail(self, why: str) -> None:
        self.failure = why
        logger.error("this agent gives up: %s", why)
        self._code.complain(why)
