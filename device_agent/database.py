"""SQLite that survives a power cut: WAL, synchronous=FULL, one connection a file."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from device_agent.files import set_aside

_SCARCE_BYTES = 1 << 20
"""Far more than the index of a log that is folded back every thousand pages."""


@dataclass
class Database:
    """A connection for several threads, one transaction at a time.

    ``is_durable`` is False when the disk could not be written at all and everything lives in
    memory. ``set_aside`` names the broken file that this one replaces.
    """

    connection: sqlite3.Connection
    is_durable: bool = True
    set_aside: Path | None = None
    _lock: threading.RLock = field(default_factory=threading.RLock)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Commit on leaving, roll back on an exception; durable when the block has been left."""
        with self._lock:
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield self.connection
                self.connection.execute("COMMIT")
            except BaseException:
                if self.connection.in_transaction:  # a full disk may have ended it already
                    self.connection.execute("ROLLBACK")
                raise

    def rows(self, statement: str, *values: object) -> list[sqlite3.Row]:
        """All rows of a query."""
        with self._lock:
            return self.connection.execute(statement, values).fetchall()

    def row(self, statement: str, *values: object) -> sqlite3.Row | None:
        """The first row of a query, or None."""
        rows = self.rows(statement, *values)
        return rows[0] if rows else None

    def close(self) -> None:
        """Close; what was committed stays."""
        with self._lock:
            self.connection.close()


def open_database(path: Path, schema: str) -> Database:
    """Open or create. A corrupt file is set aside.

    Where the disk cannot be written, a copy in memory knows what the file knew.
    """
    try:
        return Database(_connect(str(path), schema))
    except sqlite3.OperationalError:  # full or read-only: nothing is wrong with what it holds
        return Database(_copy_into_memory(path, schema), is_durable=False)
    except sqlite3.DatabaseError:
        try:
            aside = set_aside(path)
            return Database(_connect(str(path), schema), set_aside=aside)
        except (sqlite3.DatabaseError, OSError):
            return Database(_connect(":memory:", schema), is_durable=False)


def _connect(path: str, schema: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
    try:
        connection.row_factory = sqlite3.Row
        if _is_almost_full(path):
            _do_without_shared_memory(connection)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        _refuse_damaged(connection)
        connection.executescript(schema)
    except sqlite3.DatabaseError:
        connection.close()
        raise
    return connection


def _copy_into_memory(path: Path, schema: str) -> sqlite3.Connection:
    memory = _connect(":memory:", schema)
    is_almost_full = _is_almost_full(str(path))
    mode = "rw" if is_almost_full else "ro"  # the lock that replaces shared memory is a writer's
    with contextlib.suppress(sqlite3.DatabaseError):  # then it starts empty
        file = sqlite3.connect(f"{path.absolute().as_uri()}?mode={mode}", uri=True)
        with contextlib.closing(file):
            if is_almost_full:
                _do_without_shared_memory(file)
            file.backup(memory)
    return memory


def _is_almost_full(path: str) -> bool:
    """Whether a file that is mapped beside ``path`` might find no room; not where none is made."""
    folder = Path(path).parent
    try:
        facts = os.statvfs(folder)
    except OSError:
        return False
    return facts.f_bavail * facts.f_frsize < _SCARCE_BYTES and os.access(folder, os.W_OK)


def _do_without_shared_memory(connection: sqlite3.Connection) -> None:
    """Lock the file for good, so that SQLite keeps the index of its log on the heap.

    It maps that index from a file of which it writes the last byte of every 4 KiB only: with
    smaller blocks a full disk has no room for the rest, and the first touch ends the process
    (SIGBUS). At other times others may look into the file.
    """
    connection.execute("PRAGMA locking_mode=EXCLUSIVE")


def _refuse_damaged(connection: sqlite3.Connection) -> None:
    finding = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if finding != "ok":
        raise sqlite3.DatabaseError(finding)
