"""Report, ask for the goal, plan, do one step, look again."""

from __future__ import annotations

import contextlib
import errno
import math
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Literal

from device_agent.backoff import Backoff
from device_agent.config import Config
from device_agent.deployment import Hand, Step
from device_agent.downloads import Downloader, Transfer
from device_agent.enrolment import enrol
from device_agent.errands import Errand, Errands
from device_agent.errors import Rejected, Unavailable
from device_agent.gateway import Gateway
from device_agent.identity import Identity
from device_agent.journal import Journal
from device_agent.log import Edge, logger
from device_agent.outbox import Outbox
from device_agent.plan import Situation, is_superseded, plan, window_of
from device_agent.poller import Poller
from device_agent.steps import EXECUTORS, Hands
from device_agent.store import Store
from device_agent.supervisor import Supervisor
from device_agent.wakeup import must_park
from device_agent.windows import is_open
from inference_core import __version__
from inference_core.contract.device import EnrolmentReply, Goal, ProgressError, Report
from inference_core.contract.words import FailureCause

if TYPE_CHECKING:
    from device_agent.trust import SignedTargets

LOOK_AGAIN_S = 0.1
_LONGEST_REST_S = 60.0
"""A server may want to be asked once an hour; that the loop still turns is seen more often."""

StepHook = Callable[[Literal["before", "after"], Step], None]


class Loop:
    """One device's way to its goal. Single-threaded; children and deliveries run beside it.

    ``on_step`` is called when a step has been journalled and its work has not begun, and when
    its work is done and not journalled: the two kinds of moment that a power cut can hit.
    """

    def __init__(
        self,
        config: Config,
        *,
        identity: Identity,
        gateway: Gateway,
        journal: Journal,
        store: Store,
        outbox: Outbox,
        supervisor: Supervisor,
        errands: Sequence[Errand] = (),
        on_step: StepHook = lambda _when, _step: None,
    ) -> None:
        self._config, self._identity, self._gateway = config, identity, gateway
        self._journal, self._store, self._outbox = journal, store, outbox
        self._supervisor, self._on_step = supervisor, on_step
        self._errands = Errands(
            errands, retry_base_s=config.retry_base_s, retry_cap_s=config.retry_cap_s
        )
        self.stop_wanted = threading.Event()
        # A queue, because a signal handler may put into it while this very thread waits on it.
        self._awake: SimpleQueue[None] = SimpleQueue()
        self.poller = Poller(config, self._ask)
        self.step_problem: str | None = None
        self.breathed_at = time.monotonic()
        self._retry_at = 0.0
        self._is_awake = False
        self._step_backoff = Backoff(base_s=config.retry_base_s, cap_s=config.retry_cap_s)
        self._steps = Edge("the deployment in hand")
        self._disk = Edge("the journal")
        self._downloader = Downloader(
            gateway,
            store.partial,
            disk_reserve_bytes=config.disk_reserve_bytes,
            on_piece=self._breathe,
        )

    def wake(self) -> None:
        """Go on where the journal says; must come before inference is started."""
        goal = self._journal.goal
        if goal:
            self._supervisor.configure(goal.config)
        try:
            self._wake_up()
        except (OSError, sqlite3.Error) as error:  # every turn tries again until it is written
            self._disk.broke(error)

    def _wake_up(self) -> None:
        hand = self._journal.wake()
        self._is_awake = True
        if hand is None:
            self._store.prune()
            return
        logger.info("waking in step %s of release %.12s", hand.step, hand.release.sha256)
        if must_park(hand):
            self._journal.end(hand.last_phase, self._store.current)

    def run(self) -> None:
        """Turn until stopped."""
        while not self.stop_wanted.is_set():
            self._rest(self.turn())

    def stop(self) -> None:
        """End after the turn in hand; from any thread, also in a signal handler."""
        self.stop_wanted.set()
        self._awake.put(None)

    @property
    def transfer(self) -> Transfer | None:
        """How far the release's file is that is being fetched now."""
        return self._downloader.transfer

    def ring(self) -> None:
        """Ask the server at once: somebody said that there is news. From any thread."""
        self.poller.hurry()
        self._awake.put(None)

    def _rest(self, longest_s: float) -> None:
        with contextlib.suppress(Empty):
            self._awake.get(timeout=min(longest_s, _LONGEST_REST_S))
            while True:  # several rings are one
                self._awake.get_nowait()

    def run_until_settled(self, timeout_s: float) -> None:
        """Turn until the device has asked once and nothing remains to be done.

        ``Unavailable`` when the server cannot be asked, or the time is up.
        """
        ends_at = time.monotonic() + timeout_s
        while not self.stop_wanted.is_set():
            self._rest(self.turn())
            if self.poller.problem:
                raise Unavailable(self.poller.problem)
            if self.poller.last_contact_at and not self._steps_ahead():
                return
            if time.monotonic() > ends_at:
                raise Unavailable(f"not settled within {timeout_s:g} s")

    def turn(self) -> float:
        """Ask when it is time, do one step, and say after how many seconds to turn again."""
        self.breathed_at = time.monotonic()
        try:
            wait_s = self._turn()
        except (OSError, sqlite3.Error) as error:  # the journal takes nothing; inference goes on
            self._disk.broke(error)
            return self._step_backoff.next_s()
        self._disk.works()
        return wait_s

    def _turn(self) -> float:
        self.poller.poll_when_due()
        if not self._is_awake:
            self._wake_up()
        if self._identity.enrolment is None:
            return self.poller.wait_s
        ahead = self._steps_ahead()
        wait_s = self._perform_when_due(ahead) if ahead else math.inf
        if not ahead or ahead[0] is Step.WAIT_WINDOW:  # it may wait for days
            wait_s = min(wait_s, self._run_errands())
        return max(0.0, min(wait_s, self.poller.wait_s))

    def _perform_when_due(self, ahead: tuple[Step, ...]) -> float:
        wait_s = self._retry_at - time.monotonic()
        return wait_s if wait_s > 0 else self._perform(ahead)

    def _run_errands(self) -> float:
        goal = self._journal.goal
        return self._errands.turn(goal) if goal else math.inf

    def _steps_ahead(self) -> tuple[Step, ...]:
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
        self._steps.works()
        self.step_problem = None
        self._step_backoff.reset()
        if isinstance(outcome, float):
            return outcome
        if outcome == "look_again":
            self.poller.keep_contact()
            return LOOK_AGAIN_S
        self._on_step("after", step)
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
        self._steps.broke(error)
        self.step_problem = str(error)
        self._retry_at = time.monotonic() + self._step_backoff.next_s(delay_s)
        return 0.0

    def _cope_with_disk(self, error: OSError | sqlite3.Error) -> float:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            self._store.drop_partials()
            self._journal.fail(ProgressError(cause=FailureCause.DISK_FULL, detail=str(error)))
            return 0.0
        return self._try_later(error, None)

    def _ask(self) -> float:
        """Ask for the goal and take it in; seconds until the server wants to be asked again."""
        if self._identity.enrolment is None:
            enrol(self._config, self._identity, self._gateway, self._journal)
        answer = self._gateway.goal(self._report(), self._journal.etag)
        if answer.goal is not None:
            self._take_in(answer.goal, answer.etag)
        goal = self._journal.goal
        return answer.poll_s or (goal.poll_s if goal else 30.0)

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
            self._retry_at = 0.0

    def breathe(self) -> None:
        """Between two pieces of any download: still ask the server, and stop when told to."""
        self.breathed_at = time.monotonic()
        self.poller.poll_when_due()
        if self.stop_wanted.is_set():
            raise Unavailable("the download was interrupted", delay_s=0.0)

    def _breathe(self) -> None:
        """Between two pieces of a release: stop also when nobody wants it any more."""
        self.breathe()
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
            open_targets=self.open_targets,
            contact=self.poller.contact,
        )

    def open_targets(self) -> SignedTargets:
        """A fresh, verified view of what is signed; for an enrolled device."""
        from device_agent.trust import SignedTargets  # only a deployment pays for tuf

        root = self._known_enrolment().tuf_root.encode()
        folder = self._config.data_dir / "tuf"
        floor = self._journal.time_floor
        return SignedTargets(self._gateway, folder, root, floor, on_piece=self.breathe)

    def _known_enrolment(self) -> EnrolmentReply:
        enrolment = self._identity.enrolment
        if enrolment is None:
            raise LookupError("steps are only taken by an enrolled device")
        return enrolment

    def _known_goal(self) -> Goal:
        goal = self._journal.goal
        if goal is None:
            raise LookupError("nothing is planned without a goal")
        return goal
