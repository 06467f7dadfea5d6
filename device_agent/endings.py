"""How deployments and shadows ended on this device: nothing that ended badly is begun again."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import NamedTuple

from device_agent.database import Database
from device_agent.deployment import goal_key, without_deployment
from inference_core.contract.device import Goal
from inference_core.contract.words import DeploymentPhase

_KEPT = 100

SCHEMA = """
CREATE TABLE IF NOT EXISTS ending (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    release_sha256 TEXT NOT NULL,
    phase TEXT NOT NULL,
    detail TEXT NOT NULL,
    at TEXT NOT NULL
);
"""


class Ending(NamedTuple):
    """One of them, for a person."""

    at: str
    release_sha256: str
    phase: str
    detail: str


class Endings:
    """The newest hundred. ``note``, ``condemn`` and ``redeem`` belong inside a transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def phase_of(self, goal: Goal | None) -> DeploymentPhase | None:
        """How the goal ended here, or None. A repair that ended badly outweighs its commit."""
        if goal is None:
            return None
        keys = {goal_key(goal), goal_key(without_deployment(goal))}
        if goal.release and not goal.deployment:  # a new deployment is a person's wish to try again
            keys.add(_condemned(goal.release.sha256))
        marks = ", ".join("?" * len(keys))
        rows = self._database.rows(f"SELECT phase FROM ending WHERE key IN ({marks})", *keys)  # noqa: S608 - marks only
        phases = [DeploymentPhase(row["phase"]) for row in rows]
        bad = [phase for phase in phases if phase is not DeploymentPhase.COMMITTED]
        return next(iter(bad or phases), None)

    def newest(self, limit: int = _KEPT) -> list[Ending]:
        """The newest first."""
        rows = self._database.rows(
            "SELECT at, release_sha256, phase, detail FROM ending ORDER BY id DESC LIMIT ?", limit
        )
        return [Ending(**dict(row)) for row in rows]

    def note(self, key: str, sha256: str, phase: DeploymentPhase, detail: str) -> None:
        """Keep how the attempt ``key`` ended."""
        connection = self._database.connection
        at = datetime.now(timezone.utc).isoformat(timespec="seconds")
        connection.execute(
            "INSERT OR REPLACE INTO ending (key, release_sha256, phase, detail, at)"
            " VALUES (?, ?, ?, ?, ?)",
            (key, sha256, phase, detail, at),
        )
        connection.execute(
            "DELETE FROM ending WHERE id <= (SELECT MAX(id) FROM ending) - ?", (_KEPT,)
        )

    def condemn(self, sha256: str, detail: str) -> None:
        """Whoever committed this release has ended badly by it: no planner brings it back."""
        bad = DeploymentPhase.ROLLED_BACK
        self._database.connection.execute(
            "UPDATE ending SET phase=?, detail=? WHERE release_sha256=? AND phase=?",
            (bad, detail, sha256, DeploymentPhase.COMMITTED),
        )
        self.note(_condemned(sha256), sha256, bad, detail)

    def redeem(self, sha256: str) -> None:
        """It has been committed once more."""
        key = _condemned(sha256)
        self._database.connection.execute("DELETE FROM ending WHERE key=?", (key,))

    def note_shadow(self, sha256: str, detail: str) -> None:
        """Keep that a release failed in the shadow: it is not tried there again."""
        with self._database.transaction():
            self.note(_shadow(sha256), sha256, DeploymentPhase.FAILED, detail)

    def has_shadow(self, sha256: str) -> bool:
        """Whether this release has failed in the shadow since it is wanted there."""
        row = self._database.row("SELECT 1 FROM ending WHERE key=?", _shadow(sha256))
        return row is not None

    def forget_shadows(self, but: str | None) -> None:
        """Another shadow is wanted, or none: whoever wants an old one again may try anew."""
        kept = _shadow(but) if but else ""
        where = "FROM ending WHERE key LIKE 'shadow-%' AND key<>?"
        if self._database.row(f"SELECT 1 {where}", kept):
            with self._database.transaction() as connection:
                connection.execute(f"DELETE {where}", (kept,))


def _condemned(sha256: str) -> str:
    return f"condemned-{sha256}"


def _shadow(sha256: str) -> str:
    return f"shadow-{sha256}"
