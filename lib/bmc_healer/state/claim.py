"""Taking the lock of a host without compare-and-set (SAFETY 4).

First come candidates: everybody writes one, waits for the settle time, and reads who else did; the lowest id
is ahead, and a held lock beats every candidate. That makes one of many win, but proves nothing: a process may
sleep between its reading and its writing. So the winner writes its lock and **reads once more**: of any
two that wrote a lock the later one sees the earlier, and whoever sees a lock in its way withdraws. At worst
both withdraw; the trigger comes again. The same holds for the budgets: of N+1 that wrote a lock, the last one
sees N.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, replace

from bmc_healer.errors import StateError
from bmc_healer.state import keys
from bmc_healer.state.documents import Lock
from bmc_healer.state.refs import Refusal
from bmc_healer.state.stamp import utc
from bmc_healer.state.store import Store
from bmc_healer.state.views import FleetState, HostState, fleet_view, host_view

# A candidate is gone after this much more than the settle time, for those whose process died before it
CANDIDATE_SECONDS = 60.0
RETRY_SECONDS = 600.0  # a heal takes some minutes; the sensors repeat their trigger every ten

Decide = Callable[[FleetState, HostState], "Refusal | None"]


def take_lock(
    store: Store,
    wish: Lock,
    decide: Decide,
    *,
    settle_seconds: float,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> Refusal | None:
    """Take `wish` as the lock of its host and BMC address; None when it is held now.

    :param decide: the guardrails; the fleet it is shown counts those ahead of us as if they held their locks
    :raises StateError: the datastore cannot be trusted; nothing is held then, as far as it could be written
    """
    candidate = keys.key(keys.FLEET, "candidate", wish.id)
    store.write(candidate, asdict(wish), ttl=settle_seconds + CANDIDATE_SECONDS)
    try:
        sleep(settle_seconds)
        fleet = fleet_view(store.read(keys.FLEET))
        if all(other.id != wish.id for other in fleet.candidates):
            raise _lost(wish, "candidate")
        ahead = tuple(c for c in fleet.candidates if c.id < wish.id and fleet.lock_of(c.incident) is None)
        refusal = _judge(store, wish, replace(fleet, locks=fleet.locks + ahead), decide, clock)
        return refusal or _confirm(store, wish, decide, clock)
    finally:
        with suppress(StateError):  # it goes away by itself
            store.delete(candidate)


def _confirm(store: Store, wish: Lock, decide: Decide, clock: Callable[[], float]) -> Refusal | None:
    """Write the lock, then look whether somebody else did so too."""
    lock = keys.key(keys.FLEET, "lock", wish.incident)
    try:
        store.write(lock, asdict(replace(wish, taken_at=clock())))
        fleet = fleet_view(store.read(keys.FLEET))
        own = fleet.lock_of(wish.incident)
        if own is None:
            raise _lost(wish, "lock")
        others = tuple(lock for lock in fleet.locks if lock is not own)
        twins = tuple(c for c in fleet.candidates if c.incident == wish.incident and c.id != wish.id)
        refusal = _judge(store, wish, replace(fleet, locks=others + twins), decide, clock)
    except BaseException:
        with suppress(StateError):  # then tidy finds a lock without heartbeat
            store.delete(lock)
        raise
    if refusal:
        store.delete(lock)
    return refusal


def _judge(
    store: Store, wish: Lock, fleet: FleetState, decide: Decide, clock: Callable[[], float]
) -> Refusal | None:
    """Exclusion first: it does not depend on what the guardrails think of it."""
    return held(fleet, wish.host, wish.bmc_address, clock()) or decide(
        fleet, host_view(wish.host, store.read(keys.host(wish.host)))
    )


def held(fleet: FleetState, host: str, bmc_address: str | None, now: float) -> Refusal | None:
    """Who heals this host, or another host at this BMC address, and since when.

    The sentence is shown behind the host's name, as that of every refusal: "it".
    """
    lock = fleet.holder(host, bmc_address)
    if lock is None:
        return None
    subject = "It" if lock.host == host else f"The BMC {bmc_address} (as that of {lock.host})"
    since = utc(lock.taken_at)
    return Refusal(
        rule="lock",
        value=lock.incident,
        sentence=f"{subject} is being healed since {since} by {lock.owner}",
        override="wait for its end; a heal that died is found and cleared within five minutes",
        retry_at=now + RETRY_SECONDS,
    )


def _lost(wish: Lock, what: str) -> StateError:
    return StateError(
        f"the {what} that was just written is not in the datastore",
        wish.host,
        "Nothing is done without reliable state; check StackStorm's API and database",
    )
