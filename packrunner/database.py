"""The one SQLite file (WAL, 0600) in the state directory (0700), shared by all processes of the runner."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FILE_NAME = "packrunner.db"
_BUSY_SECONDS = 20.0  # how long a writer waits for another process's transaction

_SCHEMA = """
CREATE TABLE IF NOT EXISTS keyvalue (
    name TEXT PRIMARY KEY, value TEXT NOT NULL, secret INTEGER NOT NULL, expires_at REAL
);
CREATE TABLE IF NOT EXISTS executions (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, parent TEXT NOT NULL,
    action TEXT NOT NULL, runner TEXT NOT NULL, task TEXT NOT NULL, status TEXT NOT NULL,
    parameters TEXT NOT NULL, context TEXT NOT NULL, result TEXT,
    started REAL NOT NULL, ended REAL, log TEXT NOT NULL,
    attributes TEXT NOT NULL, cancel_requested INTEGER NOT NULL DEFAULT 0,
    canceled_by TEXT NOT NULL DEFAULT '',
    engine TEXT NOT NULL, process TEXT
);
CREATE INDEX IF NOT EXISTS executions_parent ON executions (parent);
CREATE INDEX IF NOT EXISTS executions_open ON executions (ended) WHERE ended IS NULL;
CREATE TABLE IF NOT EXISTS trigger_instances (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, trigger TEXT NOT NULL,
    payload TEXT NOT NULL, occurred REAL NOT NULL, rules TEXT NOT NULL
);
"""


class Database:
    """One connection, used by one thread at a time; every transaction takes the write lock at once."""

    def __init__(self, file: Path) -> None:
        self.file = file
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # SQLite gives -wal and -shm the mode of the main file, so that is made first.
        os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        self._lock = threading.RLock()
        self._connection = sqlite3.connect(
            file, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        self._connection.row_factory = sqlite3.Row
        self._use_wal()
        # FULL: what was written before a deed must still be there after a power cut.
        self._connection.execute("PRAGMA synchronous=FULL")
        with self.transaction() as connection:
            for statement in _SCHEMA.split(";"):
                connection.execute(statement)

    def _use_wal(self) -> None:
        """SQLite does not wait for another process that is making the same file at this very moment."""
        end = time.monotonic() + _BUSY_SECONDS
        while True:
            try:
                self._connection.execute("PRAGMA journal_mode=WAL")
                return
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > end:
                    raise
                time.sleep(0.01)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A write transaction; rolled back when the block raises."""
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def rows(self, query: str, values: tuple[object, ...] = ()) -> list[sqlite3.Row]:
        """All rows of one reading query."""
        with self._lock:
            return self._connection.execute(query, values).fetchall()

    def close(self) -> None:
        """Close the connection; the object is of no use afterwards."""
        with self._lock:
            self._connection.close()


def prune(database: Database, before: float) -> None:
    """Forget executions that ended, and triggers that came, before this moment (epoch seconds)."""
    with database.transaction() as connection:
        connection.execute("DELETE FROM executions WHERE ended < ?", (before,))
        connection.execute("DELETE FROM trigger_instances WHERE occurred < ?", (before,))


@contextmanager
def exclusive(file: Path) -> Iterator[bool]:
    """Hold a lock file; False when another process holds it. The lock ends with its holder's process."""
    with file.open("a") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def write_private(file: Path, text: str) -> None:
    """Write a file that only its owner can read."""
    file.unlink(missing_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w") as stream:
        stream.write(text)
