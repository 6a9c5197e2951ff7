"""Heals whose acting process has fallen silent, whatever the engine says of them (SAFETY 6). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bmc_healer.state.documents import Heartbeat, Lock

from .payload import utc


@dataclass(frozen=True)
class Overdue:
    """A lock without a sign of life for `silent_seconds`."""

    lock: Lock
    silent_seconds: float

    def payload(self, now: float) -> dict[str, Any]:
        """What `heal.overdue` carries."""
        return {
            "host": self.lock.host,
            "observed_at": utc(now),
            "key": self.lock.incident,
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
