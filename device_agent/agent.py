"""The agent as it runs: in which order its parts start and stop, and how it looks after itself."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from device_agent.config import Config
from device_agent.enrolment import read_token
from device_agent.launcher import START_ANEW
from device_agent.log import logger
from device_agent.notify import Systemd
from device_agent.parts import Parts
from device_agent.performing import StepHook
from device_agent.self_portrait import summarise
from device_agent.status import write_status


class Agent:
    """Owns everything under ``config.data_dir`` while it runs."""

    def __init__(self, config: Config, on_step: StepHook = lambda _when, _step: None) -> None:
        self._config = config
        self._parts = Parts(
            config,
            on_step=on_step,
            on_status=self._look_after_itself,
            on_other_code=self._start_other_code,
        )
        self._systemd = Systemd()
        self._wants_other_code = False

    def run(self) -> int:
        """Work until a signal asks to stop; exit status 0, or that of an agent to be started anew.

        Inference starts first, the network comes second.
        """
        with self._running():
            self._systemd.ready()
            self._parts.loop.run()
        if self._wants_other_code:
            return START_ANEW
        return 1 if self._parts.proof.failure else 0

    def run_once(self, timeout_s: float) -> bool:
        """Settle, deliver everything and stop; whether the device is at its goal then.

        ``AgentError`` when the server cannot be reached, or the time is up.
        """
        parts = self._parts
        with self._running():
            parts.loop.run_until_settled(timeout_s)
            parts.keeper.flush()
            parts.courier.stop(close=False)
            parts.courier.deliver_all()
            goal = parts.journal.goal
            wanted = goal.release.sha256 if goal and goal.release else None
            return wanted is None or wanted == parts.store.current

    @contextmanager
    def _running(self) -> Iterator[None]:
        parts = self._parts
        if parts.identity.enrolment is None:
            read_token(self._config)  # loud now, or a typing mistake would retry for ever
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: parts.loop.stop())
        if self._config.is_plain_text:
            logger.warning("%s is not encrypted: use https", self._config.server_url)
        with suppress(OSError):  # a read-only disk keeps them
            parts.samples.clear_spool()
        self._tell_of_the_past()
        parts.loop.wake()
        parts.keeper.start()
        parts.courier.start()
        try:
            yield
        finally:
            self._stop()

    def _stop(self) -> None:
        """Children first, so that what they said last still reaches the outbox."""
        self._systemd.stopping()
        parts = self._parts
        parts.doorbell.close()
        parts.building.close()
        parts.keeper.stop()
        parts.supervisor.close()
        parts.keeper.flush()
        parts.budget.close()
        parts.courier.stop()
        self._look_after_itself()
        parts.outbox.close()
        parts.journal.close()

    def _tell_of_the_past(self) -> None:
        """What was set aside or given up before this start."""
        parts, starts = self._parts, self._parts.code.starts
        if parts.journal.set_aside:
            parts.notices.tell("journal-set-aside", f"see {parts.journal.set_aside.name}")
        if starts.reverted:
            parts.notices.tell("agent-reverted", f"agent {starts.reverted[:12]}: {starts.why}")
            parts.code.mark_told()

    def _look_after_itself(self) -> None:
        """Feed the watchdog while the loop turns, judge an agent on trial, write the status."""
        portrait, proof = self._parts.portrait, self._parts.proof
        if portrait.is_breathing:
            self._systemd.alive()
        proof.look(portrait.standing())
        if proof.failure:
            self._parts.loop.stop()
        status = portrait.status()
        self._systemd.say(summarise(status))
        write_status(self._config.data_dir, status)

    def _start_other_code(self) -> None:
        self._wants_other_code = True
        self._parts.loop.stop()
