"""What a sensor keeps in the datastore for its watch process: its documents, and what concerns everybody."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from bmc_healer.config.settings import WatchSettings
from bmc_healer.executions import Executions
from bmc_healer.state import keys
from bmc_healer.state.heal_state import HealState
from bmc_healer.state.lost import lost_heals
from bmc_healer.state.store import Datastore, Document, Store

from .members import Member, Members, here
from .overdue import Overdue, overdue, without_lock
from .share import owns
from .untold import Untold, untold

INCIDENT = "incident:"
LAN = "lan:"
MASS = "mass:"
# Open incidents, and as many that are over, whose acknowledgement is looked for in one go: two calls each.
# Thousands that are over at once hold up none that is open.
ASKED_AT_ONCE = 20


class Ledger:
    """Every method raises StateError when the datastore cannot be trusted.

    :param kind: `kipmi` or `bmc`
    :param me: which of several sensors this is; None: as this process tells
    :param steady: seconds of a clock that nobody sets
    """

    def __init__(
        self,
        kind: str,
        datastore: Datastore,
        clock: Callable[[], float] = time.time,
        me: Member | None = None,
        *,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._kind = kind
        self._prefix = keys.key(keys.WATCHES, kind)
        self._datastore = datastore
        self._store = Store(datastore, clock)
        self._state = HealState(datastore, clock=clock)
        self._clock = clock
        self._open: dict[str, Document] = {}
        self.members = Members(kind, self._store, clock, me or here(), steady=steady)

    def documents(self) -> dict[str, Document]:
        """What an earlier watch left of this sensor's share, by name."""
        kept = self._store.read(keys.LAN) | self._store.read(self._prefix)
        named = [
            (key, str(d["name"]), d["document"])
            for key, d in kept.items()
            if {"name", "document"} <= d.keys()
        ]
        found = {name: d for key, name, d in named if self._owns(name) and self._is_ours(key, name)}
        self._open = {name: d for name, d in found.items() if _unacknowledged(name, d)}
        return found

    def _owns(self, name: str) -> bool:
        """Whether a document is about this sensor's share of the fleet."""
        share = self.members.share
        what, _, whose = name.partition(":")
        if share is None or what == "mass":
            return True
        return owns(share, whose) if what == "incident" else whose in share

    def _is_ours(self, key: str, name: str) -> bool:
        """Not the other kind's; of mass outages what this sensor said, or whoever was alone before it."""
        return key == self._key(name) or (name.startswith(MASS) and self.members.share is None)

    def refused_credentials(self) -> list[str]:
        """Credentials that no login may be tried with."""
        fleet = self._state.fleet()
        return sorted({s.name for s in fleet.stopped} | {b.credential for b in fleet.bad_logins})

    def secrets(self, config: dict[str, Any]) -> dict[str, str]:
        """Passwords of the credentials that name a datastore key, by that key."""
        listed = config.get("credentials")  # of any shape: what is wrong with it the watch process tells
        credentials = listed.values() if isinstance(listed, dict) else ()
        names = {str(c["password_key"]) for c in credentials if isinstance(c, dict) and c.get("password_key")}
        values = {name: self._datastore.get_value(name, local=False, decrypt=True) for name in sorted(names)}
        return {name: value for name, value in values.items() if value}

    def take(self, line: dict[str, Any]) -> None:
        """Keep what a line of the watch says; lines that keep nothing are ignored."""
        for name, document in (line.get("store") or {}).items():
            self._keep(name, document)
        if told := line.get("remember"):
            self._state.remember(told["host"], **{k: v for k, v in told.items() if k != "host"})
        if mass := line.get("mass"):
            if mass["until"] is None:
                self._state.end_mass_outage(mass["label"], self._by)
            else:
                self._state.declare_mass_outage(mass["label"], mass["hosts"], mass["until"], self._by)
        if bad := line.get("bad_login"):
            self._state.bad_login(bad["credential"], bad["bmc"])

    def concerns(self, line: dict[str, Any]) -> bool:
        """False for what a watch found of hosts that another sensor watches by now."""
        if not all(self._owns(name) for name in line.get("store") or ()):
            return False
        host = (line.get("payload") or {}).get("host")
        return not isinstance(host, str) or owns(self.members.share, host)

    def newly_acknowledged(self) -> list[str]:
        """Keys that somebody took up since: open incidents are kept as such, those that are over go."""
        found = []
        for name in self._turn():
            document = self._open[name] = self._open.pop(name)  # to the end: all get their turn
            if document["key"] in self._state.acknowledged(document["host"]):
                self._keep(name, None if _is_over(document) else {**document, "acknowledged": True})
                found.append(str(document["key"]))
        return found

    def _turn(self) -> list[str]:
        """Whose acknowledgement is looked for now."""
        over = [name for name, document in self._open.items() if _is_over(document)]
        open_ = [name for name, document in self._open.items() if not _is_over(document)]
        return open_[:ASKED_AT_ONCE] + over[:ASKED_AT_ONCE]

    def lost(self, executions: Executions, settings: WatchSettings) -> list[Overdue]:
        """Heals without a lock in which nothing happens any more."""
        locks, limit = self._state.fleet().locks, settings.overdue_seconds
        found = lost_heals(executions, locks, self._state.host, self._clock(), limit)
        return [without_lock(heal) for heal in found if owns(self.members.share, heal.host)]

    def overdue(self, settings: WatchSettings) -> list[Overdue]:
        """Heals with a lock that give no sign of life."""
        locks = [lock for lock in self._state.fleet().locks if owns(self.members.share, lock.host)]
        beats = {lock.host: self._state.host(lock.host).heartbeats for lock in locks}
        return overdue(locks, beats, settings.overdue_seconds, self._clock())

    def untold(self) -> list[Untold]:
        """What chat has not heard and nobody tries."""
        waiting = untold(self._state.outbox.pending(), self._clock())
        return [item for item in waiting if owns(self.members.share, item.key)]

    @property
    def _by(self) -> str:
        return f"{self._kind} {self.members.name}"

    def _key(self, name: str) -> str:
        """Actions read what was seen on the LAN: it has a family of its own, in which they find a host's."""
        if name.startswith(LAN):
            return keys.key(keys.LAN, name.removeprefix(LAN), self._kind)
        if name.startswith(MASS):  # of what each sensor sees
            return keys.key(self._prefix, name, self.members.name)
        return keys.key(self._prefix, name)

    def _keep(self, name: str, document: Document | None) -> None:
        if document is None:
            self._store.delete(self._key(name))
            self._open.pop(name, None)
            return
        self._store.write(self._key(name), {"name": name, "document": document})
        if _unacknowledged(name, document):
            self._open[name] = document
        else:
            self._open.pop(name, None)


def _is_over(document: Document) -> bool:
    return document.get("recovered_at") is not None


def _unacknowledged(name: str, document: Document) -> bool:
    return name.startswith(INCIDENT) and not document.get("acknowledged")
