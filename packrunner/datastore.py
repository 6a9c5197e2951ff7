"""The key-value datastore with StackStorm's semantics, on SQLite, for actions, sensors and the engine."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass

from packrunner.database import Database

SYSTEM_SCOPE = "system"
DEFAULT_PAGE = 100  # StackStorm's api.max_page_size


@dataclass(frozen=True)
class KeyValuePair:
    """One key, with the attribute names of st2client's KeyValuePair; ``ttl`` is what is left, in seconds."""

    name: str
    value: str
    secret: bool = False
    ttl: int | None = None
    scope: str = SYSTEM_SCOPE

    @property
    def id(self) -> str:
        """The name, as st2client has it."""
        return self.name


class Datastore:
    """Plain keys without any namespace; an expired key does not exist. Values are strings.

    Nothing is encrypted: the file is readable by its owner alone.
    """

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    def get(self, name: str) -> KeyValuePair | None:
        """The key, or None.

        :raises sqlite3.Error: the file cannot be read
        """
        now = self._clock()
        found = self._database.rows(
            "SELECT * FROM keyvalue WHERE name = ? AND (expires_at IS NULL OR expires_at > ?)", (name, now)
        )
        return self._pair(found[0], now) if found else None

    def list(self, prefix: str = "", limit: int = DEFAULT_PAGE, offset: int = 0) -> list[KeyValuePair]:
        """Keys that start with the prefix, by name; ``limit`` -1 for all.

        :raises sqlite3.Error: the file cannot be read
        """
        now = self._clock()
        found = self._database.rows(
            "SELECT * FROM keyvalue WHERE substr(name, 1, ?) = ? AND (expires_at IS NULL OR expires_at > ?)"
            " ORDER BY name LIMIT ? OFFSET ?",
            (len(prefix), prefix, now, limit, offset),
        )
        return [self._pair(row, now) for row in found]

    def set(self, name: str, value: str, ttl: float | None = None, secret: bool = False) -> None:
        """Write the key; ``ttl`` in seconds, from now.

        :raises sqlite3.Error: the file cannot be written
        """
        now = self._clock()
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM keyvalue WHERE expires_at <= ?", (now,))
            connection.execute(
                "INSERT OR REPLACE INTO keyvalue (name, value, secret, expires_at) VALUES (?, ?, ?, ?)",
                (name, value, secret, now + ttl if ttl else None),
            )

    def delete(self, name: str) -> bool:
        """Whether there was such a key.

        :raises sqlite3.Error: the file cannot be written
        """
        with self._database.transaction() as connection:
            gone = connection.execute(
                "DELETE FROM keyvalue WHERE name = ? AND (expires_at IS NULL OR expires_at > ?)",
                (name, self._clock()),
            )
            return gone.rowcount > 0

    @staticmethod
    def _pair(row: sqlite3.Row, now: float) -> KeyValuePair:
        left = None if row["expires_at"] is None else max(0, int(row["expires_at"] - now))
        return KeyValuePair(name=row["name"], value=row["value"], secret=bool(row["secret"]), ttl=left)
