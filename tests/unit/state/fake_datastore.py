"""StackStorm's datastore as its services show it, in memory, with everything that can go wrong on a switch.

A mock, because the real one needs a StackStorm, and none of them can be told to lose a write.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    name: str
    value: str


class FakeDatastore:
    """Pages of 100, plain prefixes, values are strings; `ttl` is never acted upon: it is always late."""

    def __init__(self):
        self.rows = {}
        self.ttl = {}
        self.down = False  # reads: None or an exception, writes: an exception, deletes: False
        self.lose_writes = False  # said to be written, and is not
        self.refuse_after_writing = False  # written, and an exception all the same
        self.stale = None  # a dict: answers come from this old copy
        self.before = lambda operation: None  # called before each operation; may block or change things
        self.operations = []
        self._mutex = threading.Lock()

    def list_values(self, local=True, prefix=None, limit=None, offset=0):
        self._begin("list", prefix, local)
        if self.down:
            raise ConnectionError("HTTPConnectionPool(host='127.0.0.1', port=9101): refused")
        limit = min(limit or 100, 100)
        with self._mutex:
            rows = self.rows if self.stale is None else self.stale
            found = [Row(name, value) for name, value in rows.items() if name.startswith(prefix or "")]
        return found[offset : offset + limit]

    def get_value(self, name, local=True, *, decrypt=False):
        self._begin("get", name, local)
        return None if self.down else self.rows.get(name)

    def set_value(self, name, value, ttl=None, local=True):
        self._begin("set", name, local)
        assert ttl is None or isinstance(ttl, int)
        if self.down:
            raise ConnectionError("refused")
        if not self.lose_writes:
            with self._mutex:
                self.rows[name] = str(value)
                self.ttl[name] = ttl
        if self.refuse_after_writing:
            raise ConnectionError("500 Server Error: Internal Server Error")
        return True

    def delete_value(self, name, local=True):
        self._begin("delete", name, local)
        if self.down:
            return False
        with self._mutex:
            self.rows.pop(name, None)
        return True

    def _begin(self, operation, name, local):
        assert local is False, "a key that actions and sensors share needs local=False"
        self.operations.append((operation, name))
        self.before(operation)


class SensorService(FakeDatastore):
    """What a sensor is given besides: its logger, and a place to dispatch to."""

    def __init__(self):
        super().__init__()
        self.dispatched = []

    def dispatch(self, trigger, payload=None):
        self.dispatched.append((trigger, payload))

    def get_logger(self, name):
        return logging.getLogger(name)
