"""Which sensors share the fleet: each renews a key in the datastore, and reads those of the others.

Two must not watch the same host. So one that comes waits until all others have heard of it and let go; one
that could not renew its key lets go before the others take over, and comes anew.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from bmc_healer.errors import StateError
from bmc_healer.state import keys
from bmc_healer.state.store import Document, Store

from .share import Share, share_of

RENEW_SECONDS = 15.0
LET_GO_SECONDS = 50.0  # without its key renewed a sensor with company watches nothing any more
GONE_SECONDS = 90.0  # ... and its share belongs to the others; in between lie 30 s that clocks may differ
JOIN_SECONDS = 40.0  # the others read every 15 s, and a poll may last some seconds
KEPT_SECONDS = 600.0  # a key that nobody renews
NOTHING: Share = frozenset()


@dataclass(frozen=True)
class Member:
    """A sensor.

    :param name: decides about its share: the same after a restart
    :param machine: where its process can be looked for by `process`, pid and start time
    """

    name: str
    machine: str
    process: str


def here() -> Member:
    """This process."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    space = Path("/proc/self/ns/pid").readlink()
    pid = str(os.getpid())
    return Member(socket.gethostname(), f"{boot} {space}", f"{pid} {_started(pid)}")


def lives(process: str) -> bool:
    """Whether that process of this machine is there."""
    pid, _, started = process.partition(" ")
    return bool(started) and _started(pid) == started


class Members:
    """Of the sensors of one kind.

    :param me: this one, as it would like to be named; another process with this name may live yet
    :param lives: whether `process` of this machine does
    """

    def __init__(
        self,
        kind: str,
        store: Store,
        clock: Callable[[], float],
        me: Member,
        lives: Callable[[str], bool] = lives,
    ) -> None:
        self._prefix = keys.key(keys.SENSORS, kind)
        self._store = store
        self._clock = clock
        self._me = me
        self._lives = lives
        self._named = False
        self._joined = self._renewed = clock()
        self.others: tuple[str, ...] = ()
        self.share: Share = NOTHING

    @property
    def name(self) -> str:
        """Of this sensor."""
        return self._me.name

    def sentence(self) -> str:
        """For the log."""
        if self.share is None:
            return "this sensor watches the whole fleet"
        company = f"the sensors of {', '.join(self.others)}"
        if not self.share:
            return f"this sensor waits for {company} to give it its share of the fleet"
        parts = f"{len(self.share)} of {len(keys.FLEET_PARTS)} parts"
        return f"this sensor watches {parts} of the fleet, beside {company}"

    def due(self) -> bool:
        """Whether it is time for `renew`: more often until this one has its share."""
        return self.share == NOTHING or self._clock() - self._renewed >= RENEW_SECONDS

    def renew(self) -> None:
        """Tell the others of this one, look who they are, and deal out anew.

        :raises StateError: the datastore cannot be trusted; see `let_go`
        """
        now = self._clock()
        if not self._named:
            self._choose_name(self._living(now))
        self._store.write(
            keys.key(self._prefix, self._me.name), {**asdict(self._me), "at": now}, ttl=KEPT_SECONDS
        )
        self.others = tuple(sorted(member.name for member in self._living(now)))
        if now - self._renewed >= LET_GO_SECONDS:
            self._joined, self.share = now, NOTHING
        self._renewed = now
        share = share_of(self._me.name, self.others)
        if share is not None and self.share is not None and now - self._joined < JOIN_SECONDS:
            share &= self.share
        self.share = share

    def let_go(self) -> None:
        """Call it when `renew` has failed: alone in its fleet, a sensor goes on."""
        if self.others and self._clock() - self._renewed >= LET_GO_SECONDS:
            self.share = NOTHING

    def _choose_name(self, living: list[Member]) -> None:
        if self._me.name in {member.name for member in living}:
            pid = self._me.process.split()[0]
            self._me = Member(f"{self._me.name} {pid}", self._me.machine, self._me.process)
        self._named = True

    def _living(self, now: float) -> list[Member]:
        """The others whose key is fresh, without those of this machine whose process is gone."""
        found = []
        for document in self._store.read(self._prefix).values():
            member = _member(document)
            if member == self._me or now - float(document["at"]) >= GONE_SECONDS:
                continue
            if member.machine != self._me.machine or self._lives(member.process):
                found.append(member)
        return found


def _member(document: Document) -> Member:
    try:
        return Member(str(document["name"]), str(document["machine"]), str(document["process"]))
    except KeyError as error:
        raise StateError(f"the key of a sensor lacks {error}", do="Delete it") from None


def _started(pid: str) -> str:
    """When a process began, in clock ticks; empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
