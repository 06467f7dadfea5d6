"""Progress reports that wait for the server: in order, numbered, exactly one of them terminal."""

from __future__ import annotations

from uuid import UUID

from device_agent.database import Database
from device_agent.gateway import ProgressAnswer
from inference_core.contract.device import DeploymentRef, Progress, ProgressError, ProgressReply
from inference_core.contract.words import TERMINAL_PHASES, DeploymentPhase

SCHEMA = """
CREATE TABLE IF NOT EXISTS deployment (
    id TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    last_seq INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS report (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    deployment_id TEXT NOT NULL,
    seq INTEGER NOT NULL,
    phase TEXT NOT NULL,
    running_sha256 TEXT,
    error TEXT
);
"""


class Reports:
    """The queue. ``begin`` and ``queue`` belong inside a transaction of the journal."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, deployment: DeploymentRef) -> None:
        """Count from the version that the server named; a second time changes nothing."""
        self._database.connection.execute(
            "INSERT OR IGNORE INTO deployment VALUES (?, ?, 0)",
            (str(deployment.id), deployment.version),
        )

    def queue(
        self,
        deployment_id: UUID,
        phase: DeploymentPhase,
        running_sha256: str | None = None,
        error: ProgressError | None = None,
    ) -> None:
        """Number and keep a report."""
        connection = self._database.connection
        connection.execute(
            "UPDATE deployment SET last_seq = last_seq + 1 WHERE id=?", (str(deployment_id),)
        )
        connection.execute(
            "INSERT INTO report (deployment_id, seq, phase, running_sha256, error)"
            " SELECT id, last_seq, ?, ?, ? FROM deployment WHERE id=?",
            (phase, running_sha256, error and error.to_json().decode(), str(deployment_id)),
        )

    def next(self) -> tuple[UUID, Progress] | None:
        """The oldest report that the server has not accepted."""
        row = self._database.row(
            "SELECT report.*, version FROM report JOIN deployment ON deployment.id = deployment_id"
            " ORDER BY report.id LIMIT 1"
        )
        if row is None:
            return None
        progress = Progress(
            seq=row["seq"],
            expected_version=row["version"],
            phase=row["phase"],
            running_sha256=row["running_sha256"],
            error=ProgressError.model_validate_json(row["error"]) if row["error"] else None,
        )
        return UUID(row["deployment_id"]), progress

    def count(self) -> int:
        """How many wait."""
        row = self._database.row("SELECT COUNT(*) AS waiting FROM report")
        return int(row["waiting"]) if row else 0

    def settle(self, deployment_id: UUID, sent: Progress, answer: ProgressAnswer) -> bool:
        """Take in the server's answer to the oldest report; False: the server has closed it.

        A stale answer is adopted (its version, its count) and the report is sent again under a
        new number. Where there was nothing to adopt, the server does not take this phase in its
        present one: the report is dropped, and the next one may fit.
        """
        reply = answer.reply
        with self._database.transaction():
            if answer.outcome == "closed":
                self._drop(deployment_id)
                return reply.phase is sent.phase
            if _is_settled(sent, answer):
                self._drop(deployment_id, sent.seq)
            self._adopt(deployment_id, reply)
        return True

    def refuse(self, deployment_id: UUID, sent: Progress) -> None:
        """Drop a report that the server will never take, so that the rest flows."""
        with self._database.transaction():
            if sent.phase in TERMINAL_PHASES:
                self._drop(deployment_id)
            else:
                self._drop(deployment_id, sent.seq)

    def _drop(self, deployment_id: UUID, seq: int | None = None) -> None:
        self._database.connection.execute(
            "DELETE FROM report WHERE deployment_id=?1 AND (?2 IS NULL OR seq=?2)",
            (str(deployment_id), seq),
        )

    def _adopt(self, deployment_id: UUID, reply: ProgressReply) -> None:
        """Renumber what waits to follow the server's count."""
        connection, key = self._database.connection, str(deployment_id)
        waiting = self._database.rows(
            "SELECT id FROM report WHERE deployment_id=? ORDER BY id", key
        )
        for seq, row in enumerate(waiting, start=reply.seq + 1):
            connection.execute("UPDATE report SET seq=? WHERE id=?", (seq, row["id"]))
        connection.execute(
            "UPDATE deployment SET version=?, last_seq=? WHERE id=?",
            (reply.version, reply.seq + len(waiting), key),
        )


def _is_settled(sent: Progress, answer: ProgressAnswer) -> bool:
    reply = answer.reply
    if answer.outcome == "accepted" and reply.seq == sent.seq:
        return True
    is_known = reply.phase is sent.phase and reply.seq >= sent.seq
    had_nothing_new = reply.version == sent.expected_version and reply.seq < sent.seq
    return is_known or (answer.outcome == "stale" and had_nothing_new)
