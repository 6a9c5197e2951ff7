"""The facade that verbs, sensors and the command line use: all state of the healer in one datastore.

Every method that reads or writes raises StateError when the datastore cannot be trusted: no deed then.
"""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, fields, replace
from typing import Any

from bmc_healer.errors import StateError
from bmc_healer.executions import Executions
from bmc_healer.state import incidents, keys, lan
from bmc_healer.state.claim import Decide, take_lock
from bmc_healer.state.deed import CLOSED_SECONDS, WEEK, Deed
from bmc_healer.state.documents import Fence, Lock
from bmc_healer.state.heartbeat import INTERVAL_SECONDS, Pulse
from bmc_healer.state.heartbeat import key as heartbeat_key
from bmc_healer.state.outbox import Outbox
from bmc_healer.state.refs import HealRef, HostMemory, Intent, Refusal
from bmc_healer.state.stops import Stops
from bmc_healer.state.store import Datastore, Document, Store
from bmc_healer.state.tidy import why_not_free
from bmc_healer.state.views import FleetState, HostState, fleet_view, host_view


class HealState(Stops):
    """:param owner: which StackStorm or embedded runner this is, for people; host name and pid by default
    :param executions: where to ask for cancellation; a heal that names an execution sends nothing without it
    :param heartbeat_seconds: between two signs of life
    :param orphaned: whether who started this process has died, see `Pulse`
    :param token: randomness of candidates and nonces
    """

    def __init__(
        self,
        datastore: Datastore,
        *,
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        owner: str = "",
        executions: Executions | None = None,
        heartbeat_seconds: float = INTERVAL_SECONDS,
        orphaned: Callable[[], bool] = lambda: False,
        token: Callable[[], str] = lambda: secrets.token_hex(8),
    ) -> None:
        super().__init__(Store(datastore, clock, token), clock)
        self.outbox = Outbox(self._store)
        self._sleep = sleep
        self._steady = steady
        self._owner = owner or f"{socket.gethostname()}:{os.getpid()}"
        self._executions = executions
        self._heartbeat_seconds = heartbeat_seconds
        self._orphaned = orphaned
        self._token = token

    # Reading

    def fleet(self) -> FleetState:
        """What holds for all hosts."""
        return fleet_view(self._store.read(keys.FLEET))

    def host(self, name: str) -> HostState:
        """What is known about one host."""
        return host_view(name, self._store.read(keys.host(name)))

    # The lock and the fence

    def claim(
        self,
        *,
        host: str,
        bmc_address: str | None,
        incident: str,
        execution: str,
        label_keys: Iterable[str],
        settle_seconds: float,
        decide: Decide,
        resets: bool = True,
    ) -> HealRef | Refusal:
        """Take the lock of the host, or say who has it.

        :param decide: the guardrails: `lambda fleet, host: judge(request, fleet, host, ...)`. The fleet it is
            shown holds also those that are ahead of us, so that budgets go by rank
        :param resets: see `Lock`
        """
        wish = Lock(
            id=self._token(),
            host=host,
            incident=incident,
            execution=execution,
            bmc_address=bmc_address,
            labels=tuple(label_keys),
            owner=self._owner,
            taken_at=self._clock(),
            resets=resets,
        )
        refusal = take_lock(
            self._store,
            wish,
            decide,
            settle_seconds=settle_seconds,
            clock=self._clock,
            sleep=self._sleep,
        )
        if refusal:
            return refusal
        try:
            fence = self.raise_fence(host, incident)
        except BaseException:
            with suppress(StateError):  # then tidy finds a lock without heartbeat
                self._store.delete(keys.key(keys.FLEET, "lock", incident))
            raise
        return HealRef(host, incident, fence, execution, bmc_address)

    def release(self, ref: HealRef) -> None:
        """Give the lock back at the regular end of a heal. The cooldown starts now, if anything was sent."""
        done = next((heal for heal in self.host(ref.host).heals if heal.incident == ref.incident), None)
        if done:
            ended = replace(done, at=self._clock())
            self._store.write(keys.key(keys.host(ref.host), "heal", ref.incident), asdict(ended), ttl=WEEK)
        self._free(ref.host, ref.incident)

    def raise_fence(self, host: str, incident: str = "", *, of: str | None = None) -> int:
        """The new number; every deed of an earlier heal of this host is refused from now on.

        :param incident: whose deeds are to pass; "" (tidy): nobody's
        :param of: only when the fence is still this incident's; a late-comer must not stop its successor
        """
        fence = self.host(host).fence
        if of is not None and fence.incident != of:
            return fence.number
        number = fence.number + 1
        self._store.write(keys.key(keys.host(host), "fence"), asdict(Fence(number, incident)))
        return number

    def free_lock(self, lock: Lock, *, no_marked_process_left: bool) -> str | None:
        """For tidy, after `raise_fence(lock.host)`: free the lock of a dead heal.

        :returns: why it stays held, or None when it is free now
        """
        objection = why_not_free(
            lock, self.host(lock.host), self._clock(), no_marked_process_left=no_marked_process_left
        )
        if objection is None:
            self._free(lock.host, lock.incident)
        return objection

    def _free(self, host: str, incident: str) -> None:
        self._store.delete(keys.key(keys.FLEET, "lock", incident))
        self._store.delete(heartbeat_key(host, incident))

    # Deeds

    def deed(
        self,
        ref: HealRef,
        rung: str,
        not_after: float,
        *,
        boot_id: str = "",
        checks: Callable[[], str | None] = lambda: None,
    ) -> Deed:
        """A context manager around one rung, see `Deed`.

        :param not_after: epoch seconds; later nothing is sent
        :param checks: what else must hold directly before sending (lease, watchdog, fresh facts): None, or
            a sentence
        """
        now = self._clock()
        name = keys.key(keys.host(ref.host), "intent", ref.incident, f"{rung}-{self._token()}")
        intent = Intent(name, ref.host, ref.incident, rung, ref.fence, now, not_after, boot_id)
        clocks = self._clock, self._steady
        return Deed(self._store, ref, intent, self.alive(ref), self._executions, checks, *clocks)

    def alive(self, ref: HealRef) -> Pulse:
        """A context manager for waits without a deed: renews the heartbeat."""
        interval = self._heartbeat_seconds
        clocks = self._clock, self._steady
        return Pulse(self._store, ref, self._owner, *clocks, interval, self._orphaned)

    @contextmanager
    def alive_without_lock(self, host: str, execution: str) -> Iterator[None]:
        """The same for a heal without a lock, under the id of its execution: see `state/lost.py`."""
        if not execution:
            yield
            return
        with self.alive(HealRef(host, execution, 0, execution, None)):
            yield
        with suppress(StateError):  # it goes away by itself
            self._store.delete(heartbeat_key(host, execution))

    def open_intents(self, host: str) -> tuple[Intent, ...]:
        """Deeds that may have happened, oldest first."""
        return self.host(host).open_intents

    def close_intent(self, intent: Intent, how: str) -> None:
        """It is known now what became of it: `how` says it in a sentence."""
        closed = replace(intent, result={"closed": how, "at": self._clock()})
        self._store.write(intent.key, asdict(closed), ttl=CLOSED_SECONDS)

    # What was learnt about a host

    def memory(self, host: str) -> HostMemory:
        """What was learnt while it was well."""
        return self.host(host).memory

    def memory_and_lan(self, host: str) -> HostMemory:
        """The same, and what the watches saw of its BMC on the LAN."""
        return lan.newest(self.memory(host), lan.seen_by_watches(self._store, host))

    def remember(self, host: str, **changes: Any) -> None:
        """Set fields of `HostMemory`, each under a key of its own: two writers do not undo each other."""
        unknown = changes.keys() - {member.name for member in fields(HostMemory)[1:]}
        if unknown:
            raise TypeError(f"HostMemory has no {', '.join(sorted(unknown))}")
        for name, value in changes.items():
            self._store.write(keys.key(keys.host(host), "memory", name), {"value": value})

    def acknowledge(self, host: str, key: str) -> None:
        """begin_heal has heard of the sensor's incident `key`: its trigger need not be repeated."""
        document = {"key": key, "at": self._clock()}
        self._store.write(keys.key(keys.host(host), "ack", key), document, ttl=WEEK)

    def acknowledged(self, host: str) -> frozenset[str]:
        """The keys that begin_heal has heard of."""
        return self.host(host).acknowledged

    # Incidents

    def new_incident_id(self, host: str, now: float) -> str:
        """`db01-20261121-104512`: nobody else gets the same."""
        return incidents.new_id(self._store, host, now, self._token)

    def save_incident(self, document: Document) -> None:
        """Create or replace; its members: `state/incidents.py`."""
        incidents.save(self._store, document)

    def incident(self, incident: str) -> Document | None:
        """None: there is none with this id."""
        return incidents.load(self._store, incident)

    def incidents(self, limit: int, host: str | None = None) -> list[Document]:
        """The newest first."""
        return incidents.latest(self._store, limit, host)
