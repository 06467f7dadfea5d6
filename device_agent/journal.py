"""What survives a power cut: the goal, the deployment in hand, how others ended, the floors."""

from __future__ import annotations

import contextlib
import sqlite3
from datetime import datetime, timezone
from pathlib import Path

from device_agent.clock import EARLIEST
from device_agent.database import Database, open_database
from device_agent.deployment import ENTRY_PHASES, Hand, Step, without_deployment
from device_agent.endings import SCHEMA as ENDINGS_SCHEMA
from device_agent.endings import Endings
from device_agent.reports import SCHEMA as REPORTS_SCHEMA
from device_agent.reports import Reports
from device_agent.wakeup import COUNTS_ANEW, wake
from inference_core.contract.device import Goal, ProgressError
from inference_core.contract.words import DeploymentPhase

_PLACE = {phase: place for place, phase in enumerate(DeploymentPhase)}
"""Phases are declared in the order in which a deployment passes them, and told once each."""

_FACTS_SCHEMA = """
CREATE TABLE IF NOT EXISTS fact (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""
SCHEMA = REPORTS_SCHEMA + _FACTS_SCHEMA + ENDINGS_SCHEMA


class Journal:
    """Every method that changes something is one durable transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.reports = Reports(database)
        self.endings = Endings(database)

    @classmethod
    def open(cls, path: Path) -> Journal:
        """Open or create; see ``open_database`` for a broken one."""
        return cls(open_database(path, SCHEMA))

    @property
    def is_durable(self) -> bool:
        """False when the disk takes nothing: then no update may begin."""
        return self._database.is_durable

    @property
    def set_aside(self) -> Path | None:
        """The broken journal that this one replaces."""
        return self._database.set_aside

    @property
    def goal(self) -> Goal | None:
        """The newest goal that the server gave."""
        text = self._fact("goal")
        return Goal.model_validate_json(text) if text else None

    @property
    def etag(self) -> str | None:
        """Its entity tag."""
        return self._fact("etag")

    @property
    def hand(self) -> Hand | None:
        """The deployment that is being carried out."""
        text = self._fact("hand")
        return Hand.model_validate_json(text) if text else None

    @property
    def counter_floor(self) -> int:
        """Releases below this counter are refused; it only rises."""
        return int(self._fact("counter_floor") or 0)

    @property
    def agent_floor(self) -> int:
        """Wheels of the agent below this counter are refused; it only rises."""
        return int(self._fact("agent_floor") or 0)

    @property
    def time_floor(self) -> datetime:
        """A moment that has certainly been; it only rises."""
        text = self._fact("time_floor")
        return max(EARLIEST, datetime.fromisoformat(text)) if text else EARLIEST

    @property
    def variant(self) -> str | None:
        """The arm of an experiment that this box keeps to, whatever name it has at the server."""
        return self._fact("variant")

    def remember_goal(self, goal: Goal, etag: str | None) -> None:
        """Keep what the server wants, so that a restart goes on without it.

        Generation 0 is a server that has not wanted anything yet: it ends no experiment.
        """
        with self._database.transaction():
            if goal.variant or goal.generation > 0:
                self._set("variant", goal.variant)
            self._set("goal", goal.to_json().decode())
            self._set("etag", etag)

    def forget_goal(self) -> None:
        """The device has a new name at the server, which counts generations afresh."""
        with self._database.transaction():
            self._set("goal", None)
            self._set("etag", None)

    def take(self, goal: Goal, old_sha256: str | None) -> Hand:
        """Take a goal in hand. One that was committed before is repaired without reports."""
        if self.endings.phase_of(goal) is DeploymentPhase.COMMITTED:
            goal = without_deployment(goal)
        hand = Hand(goal=goal, step=Step.ACKNOWLEDGE, old_sha256=old_sha256)
        with self._database.transaction():
            if goal.deployment:
                self.reports.begin(goal.deployment)
            return self._enter(hand, Step.ACKNOWLEDGE)

    def enter(self, step: Step) -> Hand:
        """Write down the next step of the deployment in hand before its work begins."""
        with self._database.transaction():
            return self._enter(self._in_hand(), step)

    def fail(self, error: ProgressError) -> None:
        """Note why the deployment in hand can only be ended; the first reason stands."""
        with self._database.transaction():
            hand = self._in_hand()
            if not hand.is_lost:
                self._put(hand.model_copy(update={"failure": error}))

    def supersede(self, key: str) -> None:
        """Note that nobody wants the deployment ``key`` any more, if it is still in hand."""
        with self._database.transaction():
            hand = self.hand
            if hand is not None and hand.key == key and not hand.is_lost:
                self._put(hand.model_copy(update={"superseded": True}))

    def end(self, phase: DeploymentPhase, running_sha256: str | None) -> Hand:
        """End the deployment in hand, with its one terminal report, in one transaction."""
        with self._database.transaction():
            hand = self._in_hand()
            if hand.goal.deployment:
                self.reports.queue(hand.goal.deployment.id, phase, running_sha256, hand.failure)
            self.endings.note(hand.key, hand.release.sha256, phase, _detail(hand))
            if phase is DeploymentPhase.COMMITTED:
                self.endings.redeem(hand.release.sha256)
            self._set("hand", None)
        return hand

    def condemn(self, sha256: str, successor: str, detail: str) -> None:
        """Note that a committed release turned out bad; ``successor`` runs in its place."""
        with self._database.transaction():
            self.endings.condemn(sha256, detail)
            hand = self.hand
            if hand is not None and hand.old_sha256 == sha256:
                self._put(hand.model_copy(update={"old_sha256": successor}))

    def wake(self) -> Hand | None:
        """Apply the wake-up table after a start; see ``wakeup``."""
        with self._database.transaction():
            hand = self.hand
            if hand is not None:
                hand = wake(hand)
                self._put(hand)
        return hand

    def raise_counter_floor(self, counter: int) -> None:
        """Never take a release below ``counter`` again."""
        with self._database.transaction():
            self._set("counter_floor", str(max(counter, self.counter_floor)))

    def raise_agent_floor(self, counter: int) -> None:
        """Never take an agent below ``counter`` again."""
        with self._database.transaction():
            self._set("agent_floor", str(max(counter, self.agent_floor)))

    def raise_time_floor(self, server_time: datetime) -> None:
        """Note that both the server's clock and this device's say it is at least this late.

        Both, so that neither a wrong clock here nor a lying server can freeze updates for ever.
        A disk that takes nothing is no reason to break off a talk: the next token raises it too.
        """
        floor = min(server_time, datetime.now(timezone.utc))
        with contextlib.suppress(sqlite3.OperationalError), self._database.transaction():
            if floor > self.time_floor:
                self._set("time_floor", floor.isoformat())

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def _enter(self, hand: Hand, step: Step) -> Hand:
        phases = [phase for phase in ENTRY_PHASES[step] if _PLACE[phase] > _PLACE[hand.phase]]
        if hand.goal.deployment:
            for phase in phases:
                self.reports.queue(hand.goal.deployment.id, phase)
        wakes = 0 if step in COUNTS_ANEW and hand.step is not step else hand.wakes
        phase = phases[-1] if phases else hand.phase
        hand = hand.model_copy(update={"step": step, "phase": phase, "wakes": wakes})
        self._put(hand)
        return hand

    def _in_hand(self) -> Hand:
        hand = self.hand
        if hand is None:
            raise LookupError("no deployment is in hand")
        return hand

    def _put(self, hand: Hand) -> None:
        self._set("hand", hand.to_json().decode())

    def _fact(self, name: str) -> str | None:
        row = self._database.row("SELECT value FROM fact WHERE name=?", name)
        return str(row["value"]) if row else None

    def _set(self, name: str, value: str | None) -> None:
        """Inside a transaction of the caller."""
        if value is None:
            self._database.connection.execute("DELETE FROM fact WHERE name=?", (name,))
        else:
            self._database.connection.execute(
                "INSERT OR REPLACE INTO fact VALUES (?, ?)", (name, value)
            )


def _detail(hand: Hand) -> str:
    if hand.failure:
        return f"{hand.failure.cause}: {hand.failure.detail}"
    return "no longer wanted" if hand.superseded else ""
