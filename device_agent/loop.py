"""Report, ask for the goal, plan, do one step, look again."""

from __future__ import annotations

import math
import sqlite3
import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from device_agent.asking import Asking
from device_agent.backoff import Backoff
from device_agent.bell import Bell
from device_agent.config import Config
from device_agent.deployment import Step
from device_agent.errands import Errand, Errands
from device_agent.errors import Unavailable
from device_agent.gateway import Gateway
from device_agent.identity import Identity
from device_agent.journal import Journal
from device_agent.log import Edge, logger
from device_agent.outbox import Outbox
from device_agent.performing import Performer, StepHook
from device_agent.poller import Poller
from device_agent.store import Store
from device_agent.supervisor import Supervisor
from device_agent.wakeup import must_park
from inference_core.contract.device import EnrolmentReply

if TYPE_CHECKING:
    from device_agent.trust import SignedTargets

_LONGEST_REST_S = 60.0
"""A server may want to be asked once an hour; that the loop still turns is seen more often."""


class Loop:
    """One device's way to its goal. Single-threaded; children and deliveries run beside it.

    ``on_step``: see ``Performer``.
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
        self._journal, self._store = journal, store
        self._supervisor = supervisor
        self._errands = Errands(
            errands, retry_base_s=config.retry_base_s, retry_cap_s=config.retry_cap_s
        )
        self.stop_wanted = threading.Event()
        self._bell = Bell()
        asking = Asking(
            config,
            identity=identity,
            gateway=gateway,
            journal=journal,
            outbox=outbox,
            supervisor=supervisor,
            on_newer_goal=lambda: self.performer.forget_failures(),  # noqa: PLW0108 - it comes later
        )
        self.poller = Poller(config, asking.ask)
        self.performer = Performer(
            config,
            gateway=gateway,
            journal=journal,
            store=store,
            supervisor=supervisor,
            poller=self.poller,
            known_enrolment=self._known_enrolment,
            open_targets=self.open_targets,
            breathe=self.breathe,
            on_step=on_step,
        )
        self.breathed_at = time.monotonic()
        self._is_awake = False
        self._disk = Edge("the journal")
        self._disk_backoff = Backoff(base_s=config.retry_base_s, cap_s=config.retry_cap_s)

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
        self._bell.ring()

    def ring(self) -> None:
        """Ask the server at once: somebody said that there is news. From any thread."""
        self.poller.hurry()
        self._bell.ring()

    def _rest(self, longest_s: float) -> None:
        self._bell.wait(min(longest_s, _LONGEST_REST_S))

    def run_until_settled(self, timeout_s: float) -> None:
        """Turn until the device has asked once and nothing remains to be done.

        ``Unavailable`` when the server cannot be asked, or the time is up.
        """
        ends_at = time.monotonic() + timeout_s
        while not self.stop_wanted.is_set():
            self._rest(self.turn())
            if self.poller.problem:
                raise Unavailable(self.poller.problem)
            if self.poller.last_contact_at and not self.performer.look_ahead():
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
            return self._disk_backoff.next_s()
        self._disk.works()
        self._disk_backoff.reset()
        return wait_s

    def _turn(self) -> float:
        self.poller.poll_when_due()
        if not self._is_awake:
            self._wake_up()
        if self._identity.enrolment is None:
            return self.poller.wait_s
        ahead = self.performer.look_ahead()
        wait_s = self.performer.perform_when_due(ahead) if ahead else math.inf
        if not ahead or ahead[0] is Step.WAIT_WINDOW:  # it may wait for days
            wait_s = min(wait_s, self._run_errands())
        return max(0.0, min(wait_s, self.poller.wait_s))

    def _run_errands(self) -> float:
        goal = self._journal.goal
        return self._errands.turn(goal) if goal else math.inf

    def breathe(self) -> None:
        """Between two pieces of any download: still ask the server, and stop when told to."""
        self.breathed_at = time.monotonic()
        self.poller.poll_when_due()
        if self.stop_wanted.is_set():
            raise Unavailable("the download was interrupted", delay_s=0.0)

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
