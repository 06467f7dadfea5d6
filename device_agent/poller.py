"""Asks the server for the goal, at its pace, and knows whether it can be reached."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from datetime import datetime, timezone

from device_agent.backoff import Backoff
from device_agent.config import Config
from device_agent.contact import Contact
from device_agent.errors import AgentError, Rejected
from device_agent.log import Edge


class Poller:
    """``ask`` fetches the goal and takes it in when it is time; it says the pace in seconds.

    ``last_contact_at``, ``problem`` and whether it is a refusal (``is_refused``) are for people;
    ``contact`` is for probation.
    """

    def __init__(self, config: Config, ask: Callable[[], float]) -> None:
        self._min_poll_s, self._ask = config.min_poll_s, ask
        self.contact = Contact()
        self.last_contact_at: datetime | None = None
        self.problem: str | None = None
        self.is_refused = False
        self._backoff = Backoff(base_s=config.retry_base_s, cap_s=config.retry_cap_s)
        self._server = Edge("the server")
        self._asked_at = self._due_at = 0.0
        self._is_hurried = False

    @property
    def wait_s(self) -> float:
        """Seconds until the next poll is due."""
        return 0.0 if self._is_hurried else max(0.0, self._due_at - time.monotonic())

    def poll_when_due(self) -> None:
        """Ask if it is time; a server that is away is asked again later and later."""
        if self.wait_s > 0:
            return
        # Before the question: who rings while it is answered may know what the answer does not.
        self._is_hurried = False
        try:
            wanted_s = self._ask()
        except AgentError as error:
            self._server.broke(error)
            self.problem, self.is_refused = str(error), isinstance(error, Rejected)
            self.contact.failed()
            wait_s = self._backoff.next_s(getattr(error, "delay_s", None))
        else:
            self._server.works()
            self.problem, self.is_refused = None, False
            self.contact.succeeded()
            self.last_contact_at = datetime.now(timezone.utc)
            self._backoff.reset()
            wait_s = wanted_s * random.uniform(0.9, 1.1)  # noqa: S311 - spreads a fleet, no secret
        self._asked_at = time.monotonic()
        self._due_at = self._asked_at + max(self._min_poll_s, wait_s)

    def hurry(self) -> None:
        """Ask at once, and once more where a question is under way. From any thread."""
        self._is_hurried = True

    def keep_contact(self) -> None:
        """A release that must show that the server can be reached need not wait for a poll."""
        if self.problem is None and not self.contact.is_kept:
            self._due_at = min(self._due_at, self._asked_at + self._min_poll_s)
