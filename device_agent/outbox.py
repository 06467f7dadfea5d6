"""Telemetry that waits for the server: durable when appended, deleted only when acknowledged."""

from __future__ import annotations

import sqlite3
import uuid
from datetime import datetime, timezone
from pathlib import Path

from pydantic import TypeAdapter

from device_agent.database import Database, open_database
from device_agent.log import Edge
from inference_core.contract.telemetry import (
    MAX_RECORDS_IN_BATCH,
    AnyBody,
    Batch,
    Body,
    Event,
    Gap,
    Record,
)

SCHEMA = """
CREATE TABLE IF NOT EXISTS boot (id INTEGER PRIMARY KEY, uuid TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS record (
    boot INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    captured_at TEXT NOT NULL,
    priority INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (boot, seq)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS record_by_priority ON record (priority, boot, seq);
"""

_BODY: TypeAdapter[AnyBody] = TypeAdapter(Body)
_PRIORITIES = {"health": 0, "shadow": 1, "summary": 1, "event": 2, "gap": 9}
_DROPPABLE = 2
_DROPPED_AT_ONCE = 50
_ROW_OVERHEAD_BYTES = 100


class Outbox:
    """Records of this start of the agent, and of earlier ones that are not yet delivered.

    Every start has its own ``boot_id`` and counts from 1: a lost outbox can then never reuse a
    number that the server has already acknowledged.
    """

    def __init__(self, database: Database, *, limit_bytes: int) -> None:
        self._database, self._limit_bytes = database, limit_bytes
        self.boot_id = uuid.uuid4()
        self._size_bytes = self._measure(database.connection)
        self._boot: int | None = None
        self._last_seq = self._missed = 0
        self._room = Edge("the outbox")

    @classmethod
    def open(cls, path: Path, *, limit_bytes: int) -> Outbox:
        """Open or create. A corrupt one is set aside, and a gap stands for what it held."""
        database = open_database(path, SCHEMA)
        outbox = cls(database, limit_bytes=limit_bytes)
        if database.set_aside:
            outbox.append(Gap(first_seq=1, last_seq=1, reason="corrupt"))
            detail = f"an unknown number of records is in {database.set_aside.name}"
            outbox.append(Event(name="outbox-set-aside", detail=detail))
        return outbox

    def append(self, *bodies: AnyBody) -> None:
        """Keep records of this moment, in one transaction; durable when this returns.

        ``sqlite3.Error`` when the disk takes nothing at all: a gap will stand for them.
        """
        try:
            self._append(bodies)
        except sqlite3.OperationalError as error:  # most likely the disk is full
            self._room.broke(f"{error}; dropping the oldest records of least weight")
            self._append_after_all(bodies)
        else:
            self._room.works()

    def peek(self, limit: int = MAX_RECORDS_IN_BATCH) -> Batch | None:
        """The oldest records of one boot, in order; at most ``limit``."""
        rows = self._database.rows(
            "SELECT uuid, seq, captured_at, body FROM record JOIN boot ON boot.id = boot"
            " WHERE boot = (SELECT MIN(boot) FROM record) ORDER BY seq LIMIT ?",
            limit,
        )
        if not rows:
            return None
        records = tuple(
            Record(
                seq=row["seq"],
                captured_at=datetime.fromisoformat(row["captured_at"]),
                body=_BODY.validate_json(row["body"]),
            )
            for row in rows
        )
        return Batch(boot_id=uuid.UUID(rows[0]["uuid"]), records=records)

    def acknowledge(self, boot_id: uuid.UUID, acked_seq: int) -> int:
        """Delete what the server has stored; how many records that were."""
        with self._database.transaction() as connection:
            count = connection.execute(
                "DELETE FROM record WHERE seq<=? AND boot = (SELECT id FROM boot WHERE uuid=?)",
                (acked_seq, str(boot_id)),
            ).rowcount
            self._size_bytes = self._measure(connection)
        return count

    def quarantine(self, boot_id: uuid.UUID, record: Record) -> None:
        """Put a gap in the place of a record that the server refuses, so that the rest flows."""
        gap = Gap(first_seq=record.seq, last_seq=record.seq, reason="refused")
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE record SET body=?, priority=? WHERE seq=?"
                " AND boot = (SELECT id FROM boot WHERE uuid=?)",
                (gap.to_json().decode(), _PRIORITIES["gap"], record.seq, str(boot_id)),
            )
            self._size_bytes = self._measure(connection)

    def fill_hole(self, batch: Batch, acked_seq: int) -> None:
        """Put a gap before ``batch`` for records that were delivered, and forgotten since."""
        gap = Gap(first_seq=acked_seq + 1, last_seq=batch.first_seq - 1, reason="forgotten")
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO record SELECT id, ?, ?, ?, ? FROM boot WHERE uuid=?",
                (
                    gap.last_seq,
                    datetime.now(timezone.utc).isoformat(),
                    _PRIORITIES["gap"],
                    gap.to_json().decode(),
                    str(batch.boot_id),
                ),
            )
            self._size_bytes = self._measure(connection)

    def count(self) -> int:
        """How many records wait."""
        row = self._database.row("SELECT COUNT(*) AS waiting FROM record")
        return int(row["waiting"]) if row else 0

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def _append_after_all(self, bodies: tuple[AnyBody, ...]) -> None:
        try:
            with self._database.transaction() as connection:
                self._drop_some(connection)
            self._append(bodies)
        except sqlite3.OperationalError:
            self._missed += len(bodies)
            raise

    def _append(self, bodies: tuple[AnyBody, ...]) -> None:
        now = datetime.now(timezone.utc).isoformat()
        with self._database.transaction() as connection:
            boot = self._boot or self._begin_boot(connection)
            seq, size = self._last_seq, self._size_bytes
            if self._missed:
                first, seq = seq + 1, seq + self._missed
                gap = Gap(first_seq=first, last_seq=seq, reason="disk_full").to_json().decode()
                values = (boot, seq, now, _PRIORITIES["gap"], gap)
                connection.execute("INSERT INTO record VALUES (?, ?, ?, ?, ?)", values)
            for body in bodies:
                seq += 1
                text = body.to_json().decode()
                size += len(text) + _ROW_OVERHEAD_BYTES
                connection.execute(
                    "INSERT INTO record VALUES (?, ?, ?, ?, ?)",
                    (boot, seq, now, _PRIORITIES[body.kind], text),
                )
            self._size_bytes = size
            while self._size_bytes > self._limit_bytes and self._drop_some(connection):
                pass
        self._boot, self._last_seq, self._missed = boot, seq, 0

    def _begin_boot(self, connection: sqlite3.Connection) -> int:
        """With the first record and not before: a box must start on a full disk too."""
        connection.execute("DELETE FROM boot WHERE id NOT IN (SELECT boot FROM record)")
        statement = "INSERT INTO boot (uuid) VALUES (?) RETURNING id"
        return int(connection.execute(statement, (str(self.boot_id),)).fetchone()[0])

    def _drop_some(self, connection: sqlite3.Connection) -> bool:
        """Put gaps in the place of the oldest records of least weight: health, then summaries."""
        rows = connection.execute(
            "SELECT boot, seq FROM record WHERE priority <= ? ORDER BY priority, boot, seq LIMIT ?",
            (_DROPPABLE, _DROPPED_AT_ONCE),
        ).fetchall()
        for row in rows:
            self._replace_by_gap(connection, row["boot"], row["seq"])
        self._size_bytes = self._measure(connection)
        return bool(rows)

    def _replace_by_gap(self, connection: sqlite3.Connection, boot: int, seq: int) -> None:
        """Neighbouring gaps become one, or a long outage would fill the disk with gaps."""
        first, last = seq, seq
        before = self._neighbour(connection, boot, "seq < ? ORDER BY seq DESC", seq)
        after = self._neighbour(connection, boot, "seq > ? ORDER BY seq", seq)
        if before:
            first = before.first_seq
        if after:
            last = after.last_seq
        connection.execute(
            "DELETE FROM record WHERE boot=? AND seq BETWEEN ? AND ?", (boot, first, last)
        )
        gap = Gap(first_seq=first, last_seq=last, reason="disk_full").to_json().decode()
        now = datetime.now(timezone.utc).isoformat()
        connection.execute(
            "INSERT INTO record VALUES (?, ?, ?, ?, ?)", (boot, last, now, _PRIORITIES["gap"], gap)
        )

    @staticmethod
    def _measure(connection: sqlite3.Connection) -> int:
        """Bytes of all records, to hold against the limit."""
        statement = "SELECT COALESCE(SUM(LENGTH(body)), 0) + COUNT(*) * ? FROM record"
        return int(connection.execute(statement, (_ROW_OVERHEAD_BYTES,)).fetchone()[0])

    @staticmethod
    def _neighbour(
        connection: sqlite3.Connection, boot: int, condition: str, seq: int
    ) -> Gap | None:
        row = connection.execute(
            f"SELECT body, priority FROM record WHERE boot=? AND {condition} LIMIT 1",  # noqa: S608 - a text of ours
            (boot, seq),
        ).fetchone()
        if row is None or row["priority"] != _PRIORITIES["gap"]:
            return None
        return Gap.model_validate_json(row["body"])
