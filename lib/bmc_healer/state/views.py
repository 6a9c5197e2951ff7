"""One reading of the fleet's and of a host's state, as plain data for guardrails, deeds and status."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TypeVar

from bmc_healer.errors import StateError
from bmc_healer.state import keys
from bmc_healer.state.documents import (
    BadLogin,
    Fence,
    Heartbeat,
    Latch,
    Lock,
    MassOutage,
    PastHeal,
    Pause,
    StoppedCredential,
    decode,
)
from bmc_healer.state.refs import HostMemory, Intent
from bmc_healer.state.store import Document

T = TypeVar("T")


@dataclass(frozen=True)
class FleetState:
    """What holds for all hosts."""

    locks: tuple[Lock, ...] = ()
    candidates: tuple[Lock, ...] = ()
    heals: tuple[PastHeal, ...] = ()
    pauses: tuple[Pause, ...] = ()
    mass_outages: tuple[MassOutage, ...] = ()
    bad_logins: tuple[BadLogin, ...] = ()
    stopped: tuple[StoppedCredential, ...] = ()

    def lock_of(self, incident: str) -> Lock | None:
        """The lock that this heal holds."""
        return next((lock for lock in self.locks if lock.incident == incident), None)

    def holder(self, host: str, bmc_address: str | None) -> Lock | None:
        """Whose lock covers the host or its BMC."""
        return next((lock for lock in self.locks if collides(lock, host, bmc_address)), None)

    def pause_of(self, host: str, labels: tuple[str, ...], now: float) -> Pause | None:
        """The pause that covers the host, the one that lasts longest first."""
        targets = {"fleet", f"host={host}", *labels}
        covering = [p for p in self.pauses if p.target in targets and (p.until is None or p.until > now)]
        return max(covering, key=lambda p: float("inf") if p.until is None else p.until, default=None)

    def mass_outage_of(self, host: str, labels: tuple[str, ...], now: float) -> MassOutage | None:
        """The mass outage that the host is part of, or its label or the whole fleet."""
        return next(
            (
                outage
                for outage in self.mass_outages
                if outage.until > now and (outage.label in ("fleet", *labels) or host in outage.hosts)
            ),
            None,
        )

    def stop_of(self, credential: str | None) -> StoppedCredential | None:
        """Why a credential must not be used."""
        return next((stop for stop in self.stopped if stop.name == credential), None)


@dataclass(frozen=True)
class HostState:
    """What is known about one host."""

    host: str
    fence: Fence = field(default_factory=Fence)
    heartbeats: tuple[Heartbeat, ...] = ()
    intents: tuple[Intent, ...] = ()
    heals: tuple[PastHeal, ...] = ()
    latch: Latch | None = None
    memory: HostMemory = field(default_factory=lambda: HostMemory(""))
    acknowledged: frozenset[str] = frozenset()

    @property
    def open_intents(self) -> tuple[Intent, ...]:
        """Deeds that may have happened, oldest first."""
        return tuple(sorted((i for i in self.intents if i.result is None), key=lambda i: i.written_at))


def collides(lock: Lock, host: str, bmc_address: str | None) -> bool:
    """Both locks cannot be held: the same host, or one BMC address behind two names."""
    return lock.host == host or (bmc_address is not None and lock.bmc_address == bmc_address)


def fleet_view(documents: dict[str, Document]) -> FleetState:
    """:raises StateError: a document is not what its key says."""
    return FleetState(
        locks=_all(Lock, documents, "lock"),
        candidates=_all(Lock, documents, "candidate"),
        heals=_all(PastHeal, documents, "heal"),
        pauses=_all(Pause, documents, "pause"),
        mass_outages=_all(MassOutage, documents, "mass"),
        bad_logins=_all(BadLogin, documents, "badlogin"),
        stopped=_all(StoppedCredential, documents, "stopped"),
    )


def host_view(host: str, documents: dict[str, Document]) -> HostState:
    """:raises StateError: a document is not what its key says."""
    fences = _all(Fence, documents, "fence")
    latches = _all(Latch, documents, "latch")
    return HostState(
        host=host,
        fence=fences[0] if fences else Fence(),
        heartbeats=_all(Heartbeat, documents, "heartbeat"),
        intents=_all(Intent, documents, "intent"),
        heals=_all(PastHeal, documents, "heal"),
        latch=latches[0] if latches else None,
        memory=_memory(host, documents),
        acknowledged=frozenset(str(d.get("key")) for k, d in documents.items() if _kind(k) == "ack"),
    )


def _memory(host: str, documents: dict[str, Document]) -> HostMemory:
    """One key per field, so that two writers do not undo each other."""
    learnt: Document = {"host": host}
    for member in fields(HostMemory):
        document = documents.get(keys.key(keys.host(host), "memory", member.name), {})
        if "value" in document:
            learnt[member.name] = document["value"]
    return decode(HostMemory, f"{keys.host(host)}memory:", learnt)


def _all(shape: type[T], documents: dict[str, Document], kind: str) -> tuple[T, ...]:
    return tuple(decode(shape, key, document) for key, document in documents.items() if _kind(key) == kind)


def _kind(key: str) -> str:
    """`lock` in `bmc_healer:f:lock:...:` as well as in `bmc_healer:h:db01:lock:...:`."""
    family, _, rest = key.removeprefix("bmc_healer:").partition(":")
    if family == "h":
        rest = rest.partition(":")[2]
    kind, delimiter, _ = rest.partition(":")
    if not delimiter:
        raise StateError(f"the datastore key {key} is none of ours", do="Look at it and delete it")
    return kind
