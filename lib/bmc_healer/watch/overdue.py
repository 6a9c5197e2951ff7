"""Heals whose acting process has fallen silent, whatever the engine says of them (SAFETY 6). Pure.

Told once, and again for as long as tidy cannot end them: after a minute, two, four, at last at every
`watch.repeat_seconds`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from bmc_healer.state.documents import Heartbeat, Lock
from bmc_healer.state.lost import LostHeal

from .payload import utc

AGAIN_SECONDS = 60.0


@dataclass(frozen=True)
class Overdue:
    """A lock without a sign of life for `silent_seconds`; one without an incident was never taken."""

    lock: Lock
    silent_seconds: float

    @property
    def key(self) -> str:
        """One per heal."""
        return self.lock.incident or self.lock.execution

    def payload(self, now: float) -> dict[str, Any]:
        """What `heal.overdue` carries."""
        return {
            "host": self.lock.host,
            "observed_at": utc(now),
            "key": self.key,
            "incident": self.lock.incident,
            "execution": self.lock.execution,
            "owner": self.lock.owner,
            "taken_at": utc(self.lock.taken_at),
            "silent_seconds": round(self.silent_seconds, 1),
        }


def overdue(
    locks: Iterable[Lock], heartbeats: Mapping[str, Iterable[Heartbeat]], overdue_seconds: float, now: float
) -> list[Overdue]:
    """The locks whose latest sign of life is older than `overdue_seconds`.

    :param heartbeats: host name to the heartbeats of that host
    """
    found = []
    for lock in locks:
        beats = [beat.at for beat in heartbeats.get(lock.host, ()) if beat.incident == lock.incident]
        silent = now - max([lock.taken_at, *beats])
        if silent >= overdue_seconds:
            found.append(Overdue(lock, silent))
    return found


def without_lock(heal: LostHeal) -> Overdue:
    """A heal that died before it had a lock, or after."""
    lock = Lock("", heal.host, "", heal.run.id, None, (), "", heal.run.since)
    return Overdue(lock, heal.silent_seconds)


class Kept(Protocol):
    """What is told under a key for as long as it lasts."""

    @property
    def key(self) -> str:
        """One per thing."""
        ...


Item = TypeVar("Item", bound=Kept)


class Telling:
    """Which overdue heals, or other things that last, are to be told now."""

    def __init__(self) -> None:
        self._told: dict[str, tuple[float, float]] = {}  # key: when to tell it again, and how long after that

    def due(self, late: Iterable[Item], repeat_seconds: float, now: float) -> list[Item]:
        """Those of `late` whose time has come; the others are forgotten once they are late no more."""
        found = {item.key: item for item in late}
        self._told = {key: told for key, told in self._told.items() if key in found}
        due = [item for key, item in found.items() if now >= self._told.get(key, (0.0, 0.0))[0]]
        for item in due:
            pause = self._told.get(item.key, (0.0, min(AGAIN_SECONDS, repeat_seconds)))[1]
            self._told[item.key] = (now + pause, min(2 * pause, repeat_seconds))
        return due
