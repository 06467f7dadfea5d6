"""One step of the deployment in hand: found, written down, done, and what follows from it."""

from __future__ import annotations

import errno
import sqlite3
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from device_agent.backoff import Backoff
from device_agent.config import Config
from device_agent.deployment import Hand, Step
from device_agent.downloads import Downloader, Transfer
from device_agent.errors import Rejected, Unavailable
from device_agent.gateway import Gateway
from device_agent.journal import Journal
from device_agent.log import Edge
from device_agent.plan import Situation, plan, window_of
from device_agent.poller import Poller
from device_agent.steps import EXECUTORS, Hands, Outcome
from device_agent.store import Store
from device_agent.supervisor import Supervisor
from device_agent.windows import is_open
from inference_core.contract.device import EnrolmentReply, Goal, ProgressError
from inference_core.contract.words import FailureCause

if TYPE_CHECKING:
    from device_agent.trust import SignedTargets

LOOK_AGAIN_S = 0.1

StepHook = Callable[[Literal["before", "after"], Step], None]


class Performer:
    """On the loop's thread. ``problem`` says, for people, why the step in hand does not get on.

    ``on_step`` is called when a step has been journalled and its work has not begun, and when
    its work is done and not journalled: the two kinds of moment that a power cut can hit.
    """

    def __init__(
        self,
        config: Config,
        *,
        gateway: Gateway,
        journal: Journal,
        store: Store,
        supervisor: Supervisor,
        poller: Poller,
        known_enrolment: Callable[[], EnrolmentReply],
        open_targets: Callable[[], SignedTargets],
        breathe: Callable[[], None],
        on_step: StepHook,
    ) -> None:
        self._journal, self._store, self._supervisor = journal, store, supervisor
        self._poller, self._known_enrolment = poller, known_enrolment
        self._open_targets, self._breathe, self._on_step = open_targets, breathe, on_step
        self.problem: str | None = None
        self._retry_at = 0.0
        self._backoff = Backoff(base_s=config.retry_base_s, cap_s=config.retry_cap_s)
        self._edge = Edge("the deployment in hand")
        self._downloader = Downloader(
            gateway,
            store.partial,
            disk_reserve_bytes=config.disk_reserve_bytes,
            on_piece=self._go_on,
        )

    @property
    def transfer(self) -> Transfer | None:
        """How far the release's file is that is being fetched now."""
        return self._downloader.transfer

    def look_ahead(self) -> tuple[Step, ...]:
        """Steps that remain by what is wanted and what is, the next one first."""
        goal, hand = self._journal.goal, self._journal.hand
        situation = Situation(
            goal=goal,
            hand=hand,
            current_sha256=self._store.current,
            ended_as=self._journal.endings.phase_of(goal),
            may_update=self._journal.is_durable,
            window_is_open=hand is None or is_open(window_of(hand, goal), self._journal.time_floor),
        )
        return plan(situation)

    def perform_when_due(self, ahead: tuple[Step, ...]) -> float:
        """Do the first of ``ahead``; seconds after which to look again."""
        wait_s = self._retry_at - time.monotonic()
        return wait_s if wait_s > 0 else self._perform(ahead)

    def forget_failures(self) -> None:
        """Try at once what failed: something else is wanted."""
        self._retry_at = 0.0

    def _perform(self, ahead: tuple[Step, ...]) -> float:
        step = ahead[0]
        hand = self._enter(step)
        self._on_step("before", step)
        try:
            outcome = EXECUTORS[step](self._hands(), hand)
        except Rejected as error:
            detail = str(error)[:2000]
            self._journal.fail(ProgressError(cause=error.cause, detail=detail))
            return 0.0
        except Unavailable as error:
            return self._try_later(error, error.delay_s)
        except (OSError, sqlite3.Error) as error:
            return self._cope_with_disk(error)
        self._edge.works()
        self.problem = None
        self._backoff.reset()
        return self._follow(outcome, ahead)

    def _follow(self, outcome: Outcome, ahead: tuple[Step, ...]) -> float:
        if isinstance(outcome, float):
            return outcome
        if outcome == "look_again":
            self._poller.keep_contact()
            return LOOK_AGAIN_S
        self._on_step("after", ahead[0])
        if outcome == "done":
            self._journal.enter(ahead[1])
        return 0.0

    def _enter(self, step: Step) -> Hand:
        """The deployment in hand, with ``step`` written down before its work begins."""
        hand = self._journal.hand
        if hand is None:
            return self._journal.take(self._known_goal(), self._store.current)
        return hand if hand.step is step else self._journal.enter(step)

    def _try_later(self, error: Exception, delay_s: float | None) -> float:
        self._edge.broke(error)
        self.problem = str(error)
        self._retry_at = time.monotonic() + self._backoff.next_s(delay_s)
        return 0.0

    def _cope_with_disk(self, error: OSError | sqlite3.Error) -> float:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            self._store.drop_partials()
            self._journal.fail(ProgressError(cause=FailureCause.DISK_FULL, detail=str(error)))
            return 0.0
        return self._try_later(error, None)

    def _go_on(self) -> None:
        """Between two pieces of a release: stop also when nobody wants it any more."""
        self._breathe()
        hand = self._journal.hand
        if hand is None or hand.is_lost:
            raise Unavailable("the download was interrupted", delay_s=0.0)

    def _hands(self) -> Hands:
        return Hands(
            enrolment=self._known_enrolment(),
            journal=self._journal,
            store=self._store,
            supervisor=self._supervisor,
            downloader=self._downloader,
            open_targets=self._open_targets,
            contact=self._poller.contact,
        )

    def _known_goal(self) -> Goal:
        goal = self._journal.goal
        if goal is None:
            raise LookupError("nothing is planned without a goal")
        return goal
