"""The index beside an inventory file: one host of ten thousand without reading the file.

SQLite, rebuilt whole into a new file that takes the old one's place. It is bound to the file it was made from
(`Stamp`) and to what else the hosts' documents depend on (`context`: defaults, credentials, direct hosts).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from bmc_healer.errors import ConfigError

FORMAT = 1  # of the tables and documents below; another one is rebuilt
_TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE hosts (id INTEGER PRIMARY KEY, name TEXT UNIQUE NOT NULL, document TEXT NOT NULL);
CREATE TABLE labels (label TEXT NOT NULL, host INTEGER NOT NULL, PRIMARY KEY (label, host)) WITHOUT ROWID;
"""

Stamp = tuple[int, int, int]
"""mtime in ns, size, inode: what changes when a file is written or replaced."""

Row = tuple[str, str, tuple[str, ...]]
"""Host name, merged document as JSON (a sixth of the memory), label keys."""


def stamp(source: Path) -> Stamp | None:
    """None when the file is not there."""
    try:
        status = source.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def place(source: Path) -> Path | None:
    """Where our index of `source` goes: beside it, else in the user's cache; None if neither can be written.

    Every user has an own one: an index is as good as the configuration, so only one's own is believed.
    """
    if os.access(source.parent, os.W_OK):
        return source.with_name(f".{source.name}.{os.geteuid()}.index")
    name = hashlib.sha256(str(source.resolve()).encode()).hexdigest()[:16]
    with contextlib.suppress(OSError, RuntimeError):  # RuntimeError: no home directory
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bmc_healer"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.access(folder, os.W_OK) and folder.stat().st_uid == os.geteuid():
            return folder / f"{name}.index"
    return None


class HostIndex:
    """One open index. Documents are what `hosts.merge` made."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self._meta: dict[str, Any] = {
            key: json.loads(value) for key, value in connection.execute("SELECT key, value FROM meta")
        }
        self.count: int = connection.execute("SELECT count(*) FROM hosts").fetchone()[0]

    @classmethod
    def open(cls, path: Path | None, context: str) -> HostIndex | None:
        """The index at `path`, or None when there is none of ours for this context that is whole."""
        try:
            if path is None or path.stat().st_uid != os.geteuid():
                return None
            connection = _connect(path)
        except (OSError, sqlite3.Error):
            return None
        try:
            index = cls(connection)
            if (index._meta.get("format"), index._meta.get("context")) == (FORMAT, context):
                return index
        except (sqlite3.Error, ValueError):
            pass
        connection.close()
        return None

    @classmethod
    def build(
        cls, path: Path | None, source: Stamp, context: str, rows: Iterable[Row], now: float
    ) -> HostIndex:
        """Write a new index in the place of the old one; in memory only when it cannot be written."""
        if path is not None:
            with contextlib.suppress(OSError, sqlite3.Error):
                handle, name = tempfile.mkstemp(prefix=path.name, dir=path.parent)  # mode 0600
                os.close(handle)
                try:
                    with contextlib.closing(_connect(name)) as connection:
                        _fill(connection, source, context, rows, now)
                    Path(name).replace(path)
                except BaseException:
                    Path(name).unlink(missing_ok=True)
                    raise
                return cls(_connect(path))
        connection = _connect(":memory:")
        _fill(connection, source, context, rows, now)
        return cls(connection)

    @property
    def source(self) -> Stamp:
        """The stamp of the file this was made from."""
        return tuple(self._meta["source"])

    @property
    def built_at(self) -> float:
        """Epoch seconds."""
        return float(self._meta["built_at"])

    @property
    def broken(self) -> tuple[Stamp, str] | None:
        """A later version of the file that could not be used, and the sentence why."""
        found = self._meta.get("broken")
        return (tuple(found[0]), found[1]) if found else None

    def mark_broken(self, source: Stamp, sentence: str) -> None:
        """Remember that this version of the file is of no use, so that not every process reads it again."""
        with contextlib.suppress(sqlite3.Error), self._db:
            self._db.execute(
                "INSERT OR REPLACE INTO meta VALUES ('broken', ?)", [json.dumps([source, sentence])]
            )

    def document(self, name: str) -> dict[str, Any] | None:
        """One host's document, by its lower-case name."""
        with _damage_named():
            row = self._db.execute("SELECT document FROM hosts WHERE name = ?", [name]).fetchone()
            return json.loads(row[0]) if row else None

    def documents(self, label: str | None = None) -> Iterator[tuple[str, dict[str, Any]]]:
        """All hosts in the file's order, or those with a label (`rack=r12`); one by one, they are large."""
        query, values = "SELECT name, document FROM hosts ORDER BY id", []
        if label is not None:
            query = "SELECT name, document FROM labels JOIN hosts ON id = host WHERE label = ? ORDER BY id"
            values = [label]
        with _damage_named():
            for name, document in self._db.execute(query, values):
                yield name, json.loads(document)

    def nth(self, numbers: Iterable[int]) -> list[tuple[str, dict[str, Any]]]:
        """The hosts at these places of the file, counted from 0."""
        query = "SELECT name, document FROM hosts WHERE id = ?"
        with _damage_named():
            rows = [self._db.execute(query, [number]).fetchone() for number in numbers]
            return [(name, json.loads(document)) for name, document in rows]

    def close(self) -> None:
        """Give the file back."""
        self._db.close()


def _connect(path: Path | str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=5.0, check_same_thread=False)
    connection.execute("PRAGMA cache_size = -128")  # KiB, instead of 2 MiB: the kernel has the file anyway
    return connection


@contextlib.contextmanager
def _damage_named() -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, ValueError) as error:
        what = f"the index of the inventory cannot be read ({error})"
        raise ConfigError(what, do="Delete the file .<inventory>.<uid>.index, it is made again") from None


def _fill(
    connection: sqlite3.Connection, source: Stamp, context: str, rows: Iterable[Row], now: float
) -> None:
    meta = {"format": FORMAT, "context": context, "source": source, "built_at": now}
    with connection:
        connection.executescript(_TABLES)
        connection.executemany(
            "INSERT INTO meta VALUES (?, ?)", [(k, json.dumps(v)) for k, v in meta.items()]
        )
        for number, (name, document, labels) in enumerate(rows):
            connection.execute("INSERT INTO hosts VALUES (?, ?, ?)", [number, name, document])
            connection.executemany("INSERT INTO labels VALUES (?, ?)", [(label, number) for label in labels])
