"""What is said to the server at each poll, and what its goal changes here at once."""

from __future__ import annotations

from collections.abc import Callable

from device_agent.config import Config
from device_agent.enrolment import enrol
from device_agent.gateway import Gateway
from device_agent.identity import Identity
from device_agent.journal import Journal
from device_agent.log import logger
from device_agent.outbox import Outbox
from device_agent.plan import is_superseded
from device_agent.supervisor import Supervisor
from inference_core import __version__
from inference_core.contract.device import Goal, Report

_USUAL_POLL_S = 30.0


class Asking:
    """``on_newer_goal`` hears that what failed for the goal before need not be waited for."""

    def __init__(
        self,
        config: Config,
        *,
        identity: Identity,
        gateway: Gateway,
        journal: Journal,
        outbox: Outbox,
        supervisor: Supervisor,
        on_newer_goal: Callable[[], None],
    ) -> None:
        self._config, self._identity, self._gateway = config, identity, gateway
        self._journal, self._outbox, self._supervisor = journal, outbox, supervisor
        self._on_newer_goal = on_newer_goal

    def ask(self) -> float:
        """Ask for the goal and take it in; seconds until the server wants to be asked again."""
        if self._identity.enrolment is None:
            enrol(self._config, self._identity, self._gateway, self._journal)
        answer = self._gateway.goal(self._report(), self._journal.etag)
        if answer.goal is not None:
            self._take_in(answer.goal, answer.etag)
        goal = self._journal.goal
        return answer.poll_s or (goal.poll_s if goal else _USUAL_POLL_S)

    def _report(self) -> Report:
        goal, hand = self._journal.goal, self._journal.hand
        return Report(
            boot_id=self._outbox.boot_id,
            generation=goal.generation if goal else 0,
            running_sha256=self._supervisor.running_sha256,
            phase=hand.phase if hand else None,
            variant=self._journal.variant,
            shadow_sha256=self._supervisor.shadow_sha256,
            agent_version=__version__,
            may_build=self._config.may_build,
        )

    def _take_in(self, goal: Goal, etag: str | None) -> None:
        known = self._journal.goal
        if known and goal.generation < known.generation:
            logger.warning("ignoring generation %d after %d", goal.generation, known.generation)
            return
        self._journal.remember_goal(goal, etag)
        self._supervisor.configure(goal.config)
        hand = self._journal.hand
        if hand and is_superseded(hand, goal):
            self._journal.supersede(hand.key)
        if known is None or goal.generation > known.generation:
            self._on_newer_goal()
