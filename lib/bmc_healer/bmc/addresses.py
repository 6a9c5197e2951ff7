"""IP addresses of the BMCs: a sweep must not wait for a name server, nor an event loop for anything.

A watch asks `Addresses`, which tells what it knows and looks names up behind its back. Who has one look to
take, and needs all of them, asks `pinned`.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from bmc_healer.bmc.address import Peer, is_literal, resolve
from bmc_healer.config.settings import HostSettings
from bmc_healer.errors import BmcError

KEEP_SECONDS = 600.0  # at most, and at least half as long: names learnt together are not asked for together
AT_ONCE = 4  # lookups: a name server that is down takes 5 to 30 s for each


class Addresses:
    """Host name to BMC peer, of what is known; names are looked up, and again now and then, by some threads.

    :param problem: hears once of each name that cannot be resolved, in one of these threads
    :param steady: seconds of a clock that nobody sets
    """

    def __init__(
        self,
        problem: Callable[[str], None],
        steady: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
    ) -> None:
        self._problem = problem
        self._steady = steady
        self._random = rng or random.Random()  # noqa: S311 (jitter)
        self._known: dict[str, tuple[str | None, float]] = {}  # IP address of each name, and until when
        self._due: dict[str, None] = {}  # in their order
        self._asked: set[str] = set()
        self._change = threading.Condition()
        self._threads = 0

    def peers(self, hosts: Iterable[HostSettings]) -> dict[str, Peer]:
        """The BMCs of `hosts` by host name, at once; left out is who has none, or a name not resolved yet."""
        found: dict[str, Peer] = {}
        now = self._steady()
        with self._change:
            for host in hosts:
                if host.bmc is None:
                    continue
                address: str | None = host.bmc.address
                if not is_literal(
                    host.bmc.address
                ):  # nearly all are, and nothing is to be remembered of them
                    address, until = self._known.get(host.bmc.address, (None, now))
                    if until <= now and host.bmc.address not in self._asked:
                        self._due[host.bmc.address] = None
                if address is not None:
                    found[host.name] = (address, host.bmc.port)
            self._start()
        return found

    def wait(self, seconds: float) -> None:
        """Until each name was looked up that never was before, or so long."""
        with self._change:
            self._change.wait_for(lambda: self._known.keys() >= {*self._due, *self._asked}, seconds)

    def _start(self) -> None:
        """Threads that end by themselves, and with the process: an executor's would hold up its end."""
        while self._threads < min(AT_ONCE, len(self._due) + len(self._asked)):
            self._threads += 1
            threading.Thread(target=self._work, name="names", daemon=True).start()

    def _work(self) -> None:
        try:
            while (name := self._next()) is not None:
                self._renew(name)
        finally:
            with self._change:
                self._threads -= 1

    def _next(self) -> str | None:
        with self._change:
            name = next(iter(self._due), None)
            if name is not None:
                del self._due[name]
                self._asked.add(name)
            return name

    def _renew(self, name: str) -> None:
        address, _ = self._known.get(name, (None, 0.0))
        told, problem = name in self._known, ""
        try:
            address = resolve(name)
        except BmcError as error:
            problem = error.sentence  # and the last address holds
        with self._change:
            until = self._steady() + KEEP_SECONDS * self._random.uniform(0.5, 1.0)
            self._known[name] = (address, until)
            self._asked.discard(name)
            self._change.notify_all()
        if problem and not told:
            self._problem(problem)


def literal(host: HostSettings) -> Peer | None:
    """A BMC whose address is no name: nothing is ever to be looked up."""
    if host.bmc is None or not is_literal(host.bmc.address):
        return None
    return host.bmc.address, host.bmc.port


def pinned(hosts: Iterable[HostSettings], problem: Callable[[str], None]) -> dict[str, Peer]:
    """The BMCs of `hosts` by host name, once all names were looked up; left out is who has none.

    :param problem: hears of each name that cannot be resolved
    """
    places = {host.name: (host.bmc.address, host.bmc.port) for host in hosts if host.bmc is not None}
    names = dict.fromkeys(address for address, _ in places.values() if not is_literal(address))

    def look_up(name: str) -> str | None:
        try:
            return resolve(name)
        except BmcError as error:
            problem(error.sentence)
            return None

    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = dict(zip(names, pool.map(look_up, names), strict=True))
    at = {name: (found.get(address, address), port) for name, (address, port) in places.items()}
    return {name: (address, port) for name, (address, port) in at.items() if address is not None}
