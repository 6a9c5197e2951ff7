"""audit: look at many hosts and their BMCs for what `auto` needs, and change nothing there.

Several hosts at once, each step of a look with its own limit. Logins at BMCs go through `Turns`.
"""

from __future__ import annotations

import queue
import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from bmc_healer import guardrails
from bmc_healer.audit import HostAudit, Seen, judge
from bmc_healer.bmc import session
from bmc_healer.bmc.address import resolve
from bmc_healer.bmc.facts import BmcFacts, Login
from bmc_healer.bmc.identity import Identity
from bmc_healer.bmc.ping import ping, system_guid
from bmc_healer.config.names import printable
from bmc_healer.config.settings import HostSettings, Mode
from bmc_healer.errors import BmcError, ConfigError, HealerError, HostAccessError
from bmc_healer.host.facts import HostFacts
from bmc_healer.host.observe import observe
from bmc_healer.plan import RUNGS
from bmc_healer.state.documents import BadLogin
from bmc_healer.state.stops import BAD_LOGINS
from bmc_healer.state.views import FleetState, HostState
from bmc_healer.targets import read, typed
from bmc_healer.verbs import look
from bmc_healer.verbs.runtime import Runtime

AT_ONCE = 20  # hosts looked at; a thread each, and a process while one is logged in to its BMC


def choose(rt: Runtime, names: Sequence[str], label: str = "") -> tuple[HostSettings, ...]:
    """The hosts that are named, or those of a label, or all; each once.

    :raises UnknownHostError: one of the names is nobody's
    :raises ConfigError: there is none
    """
    if names:
        return tuple({host.name: host for host in map(rt.host, names)}.values())
    if label:
        found = rt.inventory.by_label(read(label))
        if not found:
            raise ConfigError(
                f"no host has the label {printable(typed(read(label)))}", do="Check its spelling"
            )
        return found
    found = tuple(rt.inventory.hosts())
    if not found:
        raise ConfigError("no host is configured", do="Name some under `hosts`, or in an inventory file")
    return found


class Audit:
    """Iterate over it, once, to look at the hosts; a result comes when its host is done."""

    def __init__(self, rt: Runtime, hosts: Sequence[HostSettings], *, at_once: int = AT_ONCE) -> None:
        self._rt = rt
        self._hosts = iter(hosts)
        self._count = len(hosts)
        self._at_once = at_once
        self._fleet = rt.state.fleet()  # before anything is sent: without state there is no login
        self._turns = Turns(self._fleet.bad_logins)
        self._done: queue.SimpleQueue[HostAudit | BaseException] = queue.SimpleQueue()
        self._mutex = threading.Lock()
        self._left = False
        self._now: set[str] = set()

    def waiting(self) -> list[str]:
        """Names of the hosts that are being looked at right now."""
        with self._mutex:
            return sorted(self._now)

    def __iter__(self) -> Iterator[HostAudit]:
        for number in range(min(self._at_once, self._count)):
            # A daemon: after Ctrl-C nobody waits for a host that hangs.
            threading.Thread(target=self._work, name=f"audit {number}", daemon=True).start()
        try:
            for _ in range(self._count):
                result = self._done.get()
                if isinstance(result, BaseException):
                    raise result
                yield result
        finally:
            self._left = True

    def _work(self) -> None:
        while (host := self._next()) is not None:
            try:
                seen = _look(self._rt, host, self._fleet, self._turns)
                result: HostAudit | BaseException = judge(seen, self._rt.config)
            except BaseException as error:  # noqa: BLE001 - raised again in the thread that iterates
                result = error
            with self._mutex:
                self._now.discard(host.name)
            self._done.put(result)

    def _next(self) -> HostSettings | None:
        with self._mutex:
            host = None if self._left else next(self._hosts, None)
            if host is not None:
                self._now.add(host.name)
            return host


class Turns:
    """Whose turn it is to log in with a credential (SAFETY 7).

    So few logins are under way at once that, were all of them refused, no more than `BAD_LOGINS` BMCs would
    have refused it: then it is stopped, and nobody tries it any more.
    """

    def __init__(self, bad_logins: Iterable[BadLogin]) -> None:
        self._refused: defaultdict[str, set[str]] = defaultdict(set)
        self._under_way: defaultdict[str, int] = defaultdict(int)
        self._changed = threading.Condition()
        for bad in bad_logins:
            self._refused[bad.credential].add(bad.bmc_address)

    @contextmanager
    def turn(self, credential: str) -> Iterator[None]:
        """Wait for a turn; comes at once for a credential that is stopped, since it will not be tried."""
        with self._changed:
            self._changed.wait_for(lambda: self._free(credential))
            self._under_way[credential] += 1
        try:
            yield
        finally:
            with self._changed:
                self._under_way[credential] -= 1
                self._changed.notify_all()

    def refused(self, credential: str, bmc_address: str) -> None:
        """Within a turn: this BMC has refused the credential."""
        with self._changed:
            self._refused[credential].add(bmc_address)

    def _free(self, credential: str) -> bool:
        refused = len(self._refused[credential])
        return refused >= BAD_LOGINS or self._under_way[credential] + refused < BAD_LOGINS


def _look(rt: Runtime, host: HostSettings, fleet: FleetState, turns: Turns) -> Seen:
    state = rt.state.host(host.name)
    seen = _look_at_bmc(rt, _look_at_host(rt, Seen(host, rt.clock(), state.memory)), turns)
    try:
        identity = look.identify(rt, host, seen.facts, seen.bmc, seen.memory)
    except BmcError as error:  # its serial number could not be read
        identity = Identity(False, "", error.sentence)
    return replace(seen, identity=identity, held=_held(rt, host, fleet, state, seen.bmc))


def _look_at_host(rt: Runtime, seen: Seen) -> Seen:
    """One short look: nothing is asked of the BMC in-band."""
    if seen.host.transport == "none":
        return seen
    root_error: HealerError | None = None
    try:
        with rt.access(seen.host) as access:
            if not access.privileged:
                try:
                    access.run(["true"], limit=1.0)
                except HostAccessError as refused:
                    root_error = refused
            facts: HostFacts = observe(access, windows=0, clock=rt.clock, sleep=rt.sleep)
    except HostAccessError as error:
        return replace(seen, host_error=error)
    return replace(seen, facts=facts, root_error=root_error)


def _look_at_bmc(rt: Runtime, seen: Seen, turns: Turns) -> Seen:
    settings = seen.host.bmc
    if settings is None:
        return seen
    try:
        pinned = resolve(settings.address)
    except BmcError as error:
        return replace(seen, bmc_error=error)
    if not ping(pinned, settings.port):  # a silent BMC must not hold up the others' turns
        return replace(seen, bmc=BmcFacts(rt.clock(), pinned, alive=False, error="no answer to the ping"))
    try:
        rt.login(seen.host)
    except ConfigError as error:  # its password cannot be had
        known = session.look(pinned, settings.port, None, limit=rt.config.ladder.session_limit)
        return replace(seen, bmc=known, bmc_error=error)
    bmc = _log_in(rt, seen.host, pinned, settings.credential or "", f"{pinned}:{settings.port}", turns)
    if bmc is not None and bmc.alive and bmc.guid is None:
        bmc = replace(bmc, guid=system_guid(pinned, settings.port))
    return replace(seen, bmc=bmc)


def _log_in(
    rt: Runtime, host: HostSettings, pinned: str, credential: str, address: str, turns: Turns
) -> BmcFacts | None:
    with turns.turn(credential):
        bmc = rt.look_at_bmc(host, pinned)
        if bmc is not None and bmc.login is Login.REFUSED:
            turns.refused(credential, address)
    return bmc


def _held(rt: Runtime, host: HostSettings, fleet: FleetState, state: HostState, bmc: BmcFacts | None) -> str:
    """Why begin_heal would refuse `auto` right now, whatever is ill: a pause, a latch, a budget."""
    address = f"{bmc.address}:{host.bmc.port}" if bmc is not None and host.bmc is not None else None
    request = guardrails.Request(host.name, host.label_keys, address, "sensor", RUNGS, clock_skew=0.0)
    refusal = guardrails.judge(request, fleet, state, rt.config.guardrails, Mode.AUTO, rt.clock())
    if refusal is None:
        return ""
    sentence = f"For now `auto` is refused here: {refusal.sentence.rstrip('.')}."
    return f"{sentence} What to do: {refusal.override.rstrip('.')}." if refusal.override else sentence
