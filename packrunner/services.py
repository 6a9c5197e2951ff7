"""What an action's or a sensor's code may call: the datastore with StackStorm's signatures, and dispatch."""

from __future__ import annotations

import json
import logging
import os
import sqlite3
import threading
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from packrunner.datastore import Datastore, KeyValuePair

_SCOPE = "system"
_PAGE = 100


class DatastoreService:
    """Keys of the whole pack runner (``local=False``) or of one class (``PACK.CLASS:name``)."""

    def __init__(self, database: Path, pack: str, class_name: str, logger: logging.Logger) -> None:
        self._file = database
        self._prefix = f"{pack}.{class_name}:"
        self._log = logger

    @cached_property
    def _datastore(self) -> Datastore:
        # Opened late: most actions never ask, and sqlite3 costs them 10 ms.
        from packrunner.database import Database
        from packrunner.datastore import Datastore

        return Datastore(Database(self._file))

    def list_values(
        self, local: bool = True, prefix: str | None = None, limit: int | None = None, offset: int | None = 0
    ) -> list[KeyValuePair]:
        """Keys by name, 100 at most unless ``limit`` says otherwise (-1: all).

        :raises sqlite3.Error: the datastore cannot be read
        """
        start = (self._prefix if local else "") + (prefix or "")
        return self._datastore.list(start, limit or _PAGE, offset or 0)

    def get_value(
        self, name: str, local: bool = True, scope: str = _SCOPE, decrypt: bool = False
    ) -> str | None:
        """The value, or None; as in StackStorm None too when the datastore cannot be read."""
        _only_system(scope)
        try:
            pair = self._datastore.get(self._name(name, local))
        except (sqlite3.Error, OSError) as error:
            self._log.error("Exception retrieving value from datastore (name=%s): %s", name, error)
            return None
        return pair.value if pair else None

    def set_value(
        self,
        name: str,
        value: Any,
        ttl: int | None = None,
        local: bool = True,
        scope: str = _SCOPE,
        encrypt: bool = False,
    ) -> bool:
        """Write ``str(value)``; ``ttl`` in seconds; ``encrypt`` only marks the key.

        :raises sqlite3.Error: the datastore cannot be written
        """
        _only_system(scope)
        self._datastore.set(self._name(name, local), str(value), ttl, encrypt)
        return True

    def delete_value(self, name: str, local: bool = True, scope: str = _SCOPE) -> bool:
        """Whether it was there and is gone."""
        _only_system(scope)
        try:
            return self._datastore.delete(self._name(name, local))
        except (sqlite3.Error, OSError) as error:
            self._log.error("Exception deleting value from datastore (name=%s): %s", name, error)
            return False

    def _name(self, name: str, local: bool) -> str:
        return self._prefix + name if local else name


def _only_system(scope: str) -> None:
    if scope != _SCOPE:
        raise ValueError(f"Scope {scope} is unsupported.")


class ActionService(DatastoreService):
    """``self.action_service`` of an action."""

    def __init__(
        self, database: Path, pack: str, class_name: str, log_level: str, user: str, logger: logging.Logger
    ) -> None:
        super().__init__(database, pack, class_name, logger)
        self.log_level = log_level
        self._user = user

    def get_user_info(self) -> dict[str, Any]:
        """Who started the action."""
        return {"username": self._user}


class SensorService(DatastoreService):
    """``self.sensor_service`` of a sensor; triggers leave as one JSON line each through ``dispatch_fd``."""

    def __init__(
        self, database: Path, pack: str, class_name: str, dispatch_fd: int, logger: logging.Logger
    ) -> None:
        super().__init__(database, pack, class_name, logger)
        self._fd = dispatch_fd
        self._lock = threading.Lock()

    def get_logger(self, name: str) -> logging.Logger:
        """A logger below the sensor's own."""
        return self._log.getChild(name)

    def dispatch(
        self, trigger: str, payload: Mapping[str, Any] | None = None, trace_tag: str | None = None
    ) -> None:
        """Hand a trigger over; nothing comes back, also when it is dropped later for its schema."""
        line = json.dumps({"trigger": trigger, "payload": payload}, default=str) + "\n"
        left = memoryview(line.encode())
        with self._lock:
            while left:
                left = left[os.write(self._fd, left) :]
