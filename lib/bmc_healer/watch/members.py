"""Which sensors share the fleet: each renews a key in the datastore, and reads those of the others.

Two must not watch the same host. So one that comes waits until all others have heard of it and let go; one
that could not renew its key lets go before the others take over, and comes anew.

No wall clock is believed, it may differ or be set: a sensor counts on a steady one how long a key has not
changed before its eyes. So one that comes takes a dead one's key for a living one's for a while.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from bmc_healer.errors import StateError
from bmc_healer.state import keys
from bmc_healer.state.store import Document, Store

from .share import Share, share_of

RENEW_SECONDS = 15.0
LET_GO_SECONDS = 50.0  # without its key renewed a sensor with company watches nothing any more
GONE_SECONDS = 90.0  # ... and its share belongs to the others; what lies between, a slow datastore may take
JOIN_SECONDS = 40.0  # the others read every 15 s, and a poll may last some seconds
# A key that nobody renews or deletes. The store compares the writer's wall clock with the reader's, so clocks
# may differ by as much: whoever takes a living sensor's key for expired watches its hosts a second time.
KEPT_SECONDS = 86400.0
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

    :param clock: epoch seconds; in a key they only show that it was renewed
    :param me: this one, as it would like to be named; another process with this name may live yet
    :param lives: whether `process` of this machine does
    :param steady: seconds of a clock that nobody sets
    """

    def __init__(
        self,
        kind: str,
        store: Store,
        clock: Callable[[], float],
        me: Member,
        lives: Callable[[str], bool] = lives,
        *,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._prefix = keys.key(keys.SENSORS, kind)
        self._store = store
        self._clock = clock
        self._me = me
        self._lives = lives
        self._steady = steady
        self._named = False
        self._joined = self._renewed = float("-inf")
        self._changed: dict[str, tuple[float, float]] = {}  # each key's `at`, and since when it is that here
        self._gone: list[str] = []  # keys
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
        return self.share == NOTHING or self._steady() - self._renewed >= RENEW_SECONDS

    def renew(self) -> None:
        """Tell the others of this one, look who they are, and deal out anew.

        :raises StateError: the datastore cannot be trusted; see `let_go`
        """
        began = self._steady()
        if not self._named:
            self._choose_name(self._living())
        document = {**asdict(self._me), "at": self._clock()}
        self._store.write(keys.key(self._prefix, self._me.name), document, ttl=KEPT_SECONDS)
        self.others = tuple(sorted(member.name for member in self._living()))
        now = self._steady()
        if now - self._renewed >= LET_GO_SECONDS:
            self._joined, self.share = now, NOTHING
        self._renewed = began
        share = share_of(self._me.name, self.others)
        if share is not None and self.share is not None and now - self._joined < JOIN_SECONDS:
            share &= self.share
        self.share = share
        self._clear()

    def let_go(self) -> None:
        """Call it when `renew` has failed: alone in its fleet, a sensor goes on."""
        if self.others and self._steady() - self._renewed >= LET_GO_SECONDS:
            self.share = NOTHING

    def _choose_name(self, living: list[Member]) -> None:
        if self._me.name in {member.name for member in living}:
            pid = self._me.process.split()[0]
            self._me = Member(f"{self._me.name} {pid}", self._me.machine, self._me.process)
        self._named = True

    def _living(self) -> list[Member]:
        """The others whose key has changed lately, without those of this machine whose process is gone."""
        found = []
        began = self._steady()
        documents = self._store.read(self._prefix)
        now = self._steady()
        before, self._changed, self._gone = self._changed, {}, []
        for key, document in documents.items():
            member, at = _member(document)
            if member == self._me:
                continue
            known, since = before.get(key, (None, now))
            self._changed[key] = (at, since if at == known else now)
            if at == known and began - since >= GONE_SECONDS:
                self._gone.append(key)
            elif member.machine != self._me.machine or self._lives(member.process):
                found.append(member)
        return found

    def _clear(self) -> None:
        """Delete the keys of those that are gone: who comes later need not find that out anew."""
        for key in self._gone:
            with suppress(StateError):  # it can wait
                self._store.delete(key)


def _member(document: Document) -> tuple[Member, float]:
    """What a key says: who, and when by that one's clock."""
    try:
        member = Member(str(document["name"]), str(document["machine"]), str(document["process"]))
        return member, float(document["at"])
    except (KeyError, TypeError, ValueError) as error:
        raise StateError(f"the key of a sensor is none ({error!r})", do="Delete it") from None


def _started(pid: str) -> str:
    """When a process began, in clock ticks; empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
