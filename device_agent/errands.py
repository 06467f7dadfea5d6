"""What the loop does beside deployments: certificates, logs, the shadow, the agent's own code."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Protocol

from device_agent.backoff import Backoff
from device_agent.errors import AgentError
from device_agent.log import Edge, logger
from inference_core.contract.device import Goal

SELDOM_S = 3600.0
"""What an errand answers that waits for nothing but another goal."""


class Errand(Protocol):
    """Something that the goal asks for beside a deployment. It must bear being repeated."""

    name: str

    def turn(self, goal: Goal) -> float:
        """Do what is due, briefly, and say after how many seconds to be called again at the latest.

        It is called earlier where the goal changes. ``AgentError`` and ``OSError`` are told of
        once and met with patience; any other error is a mistake, told with its traceback.
        """


class Errands:
    """Runs each errand when it is due; one that fails does not delay the others."""

    def __init__(self, errands: Sequence[Errand], *, retry_base_s: float, retry_cap_s: float):
        self._runs = [
            _Run(errand, Backoff(base_s=retry_base_s, cap_s=retry_cap_s)) for errand in errands
        ]

    def turn(self, goal: Goal) -> float:
        """Do all that is due; seconds until the next is."""
        return min((run.turn(goal) for run in self._runs), default=SELDOM_S)


class _Run:
    def __init__(self, errand: Errand, backoff: Backoff) -> None:
        self._errand, self._backoff = errand, backoff
        self._edge = Edge(errand.name)
        self._seen: Goal | None = None
        self._due_at = 0.0

    def turn(self, goal: Goal) -> float:
        if goal != self._seen:
            self._seen, self._due_at = goal, 0.0
        now = time.monotonic()
        if now >= self._due_at:
            self._due_at = now + self._work(goal)
        return max(0.0, self._due_at - time.monotonic())

    def _work(self, goal: Goal) -> float:
        try:
            wait_s = self._errand.turn(goal)
        except (AgentError, OSError) as error:
            self._edge.broke(error)
            return self._backoff.next_s(getattr(error, "delay_s", None))
        except Exception as error:  # noqa: BLE001 - inference is worth more than any errand
            logger.exception("%s went wrong in a way that nobody foresaw", self._errand.name)
            self._edge.broke(error)
            return self._backoff.next_s()
        self._edge.works()
        self._backoff.reset()
        return wait_s
