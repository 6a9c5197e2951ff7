"""The datastore's place: StackStorm's four calls on a sorted list in memory, with an outage to switch on."""

from __future__ import annotations

import heapq
from bisect import bisect_left, insort
from collections.abc import Callable
from dataclasses import dataclass

LATE_SECONDS = 60.0  # StackStorm's ttl acts up to a minute late


@dataclass(frozen=True)
class Row:
    """One row of `list_values`."""

    name: str
    value: str


class Memory:
    """A `Datastore`. `down`: reads and writes raise, as StackStorm's client does."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.down = False
        self._clock = clock
        self._values: dict[str, str] = {}
        self._names: list[str] = []
        self._until: dict[str, float] = {}
        self._expiry: list[tuple[float, str]] = []

    def list_values(
        self, local: bool = True, prefix: str | None = None, limit: int | None = None, offset: int = 0
    ) -> list[Row]:
        """Sorted by name; `prefix` as StackStorm takes it."""
        self._reach()
        start = bisect_left(self._names, prefix or "") + offset
        found = []
        for name in self._names[start : start + (limit or 100)]:
            if not name.startswith(prefix or ""):
                break
            found.append(Row(name, self._values[name]))
        return found

    def holds(self, prefix: str) -> bool:
        """Whether there is any such key: for the simulation, which looks in without being asked."""
        at = bisect_left(self._names, prefix)
        return at < len(self._names) and self._names[at].startswith(prefix)

    def get_value(self, name: str, local: bool = True, *, decrypt: bool = False) -> str | None:
        """None when it cannot be reached, too."""
        return None if self.down else self._values.get(name)

    def set_value(self, name: str, value: str, ttl: int | None = None, local: bool = True) -> None:
        """Create or overwrite."""
        self._reach()
        if name not in self._values:
            insort(self._names, name)
        self._values[name] = value
        if ttl is not None:
            self._until[name] = self._clock() + ttl + LATE_SECONDS
            heapq.heappush(self._expiry, (self._until[name], name))

    def delete_value(self, name: str, local: bool = True) -> bool:
        """False when there was none."""
        self._reach()
        return self._drop(name)

    def _drop(self, name: str) -> bool:
        if name not in self._values:
            return False
        del self._values[name]
        del self._names[bisect_left(self._names, name)]
        self._until.pop(name, None)
        return True

    def _reach(self) -> None:
        if self.down:
            raise ConnectionError("refused")
        while self._expiry and self._expiry[0][0] <= self._clock():
            when, name = heapq.heappop(self._expiry)
            if self._until.get(name) == when:
                self._drop(name)
