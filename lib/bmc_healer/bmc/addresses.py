"""IP addresses of the BMCs, looked up once and then now and then: a sweep must not wait for a name server."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from bmc_healer.bmc.address import Peer, is_literal, resolve
from bmc_healer.config.settings import HostSettings
from bmc_healer.errors import BmcError

KEEP_SECONDS = 600.0


class Addresses:
    """Host name to BMC peer; `problem` hears once of each name that cannot be resolved."""

    def __init__(self, problem: Callable[[str], None], clock: Callable[[], float]) -> None:
        self._problem = problem
        self._clock = clock
        self._known: dict[str, tuple[Peer | None, float]] = {}

    def peers(self, hosts: Iterable[HostSettings]) -> dict[str, Peer]:
        """The BMCs of `hosts` by host name; those without one, or without a resolvable one, are left out."""
        found: dict[str, Peer] = {}
        for host in hosts:
            if host.bmc is None:
                continue
            if is_literal(host.bmc.address):  # nearly all of them; nothing to look up, nothing to remember
                found[host.name] = (host.bmc.address, host.bmc.port)
                continue
            name = f"{host.bmc.address} {host.bmc.port}"
            peer, until = self._known.get(name, (None, 0.0))
            if until <= self._clock():
                peer = self._look_up(host.bmc.address, host.bmc.port, peer)
                self._known[name] = (peer, self._clock() + KEEP_SECONDS)
            if peer is not None:
                found[host.name] = peer
        return found

    def _look_up(self, address: str, port: int, last: Peer | None) -> Peer | None:
        try:
            return resolve(address), port
        except BmcError as error:
            if last is None:
                self._problem(error.sentence)
            return last
