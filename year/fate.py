"""What happens to the fleet and what people do, by chance, at rates of the field.

Nobody publishes how often BMCs hang. The rates are guesses on the high side of what the runbook's fleet and
the peers' trackers let one suspect; the report names them. They decide how much is tried, nothing else.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from year.book import Book
from year.world import Host, World

DAY, MINUTE = 86400.0, 60.0
YEAR = 365 * DAY


@dataclass(frozen=True)
class Rates:
    """Events a year: per BMC or host, per rack, or in the whole fleet."""

    hang: float = 0.3
    self_reboot: float = 0.5
    slow: float = 0.3
    flash: float = 0.5
    host_reboot: float = 1.0
    rack_switch: float = 1.0
    backbone: float = 4.0
    host_pause: float = 0.03
    rack_pause: float = 0.5
    fleet_pause: float = 6.0
    datastore_outage: float = 24.0
    by_hand: float = 0.02  # somebody asks chat to reset a host


KINDS = (("hung", 0.88), ("both dead", 0.06), ("LAN dead", 0.06))
OBEYS = (("cures", 0.93), ("ignores", 0.03), ("dies", 0.02), ("relapses", 0.02))


class Fate:
    """:param pause: asks the product to hold a target (`host=x`, `rack=x`, `fleet`) for some minutes
    :param datastore: switches the datastore off and on
    """

    def __init__(
        self,
        world: World,
        book: Book,
        rng: random.Random,
        rates: Rates,
        *,
        cut: Callable[[Host], None],
        pause: Callable[[str, float], None],
        ask: Callable[[Host], None],
        datastore: Callable[[bool], None],
    ) -> None:
        self._world, self._loop, self._book, self._rng = world, world.loop, book, rng
        self._cut, self._pause, self._ask, self._datastore = cut, pause, ask, datastore
        hosts, racks = len(world.hosts), len(world.racks)
        share = hosts / 10_000  # what strikes the whole fleet is as rare for a small one
        self._names = list(world.hosts)
        for rate, strike in (
            (rates.hang * hosts, self._hang),
            (rates.self_reboot * hosts, self._self_reboot),
            (rates.slow * hosts, self._slow),
            (rates.flash * hosts, self._flash),
            (rates.host_reboot * hosts, self._host_reboot),
            (rates.rack_switch * racks, self._rack_switch),
            (rates.backbone * max(share, 0.5), self._backbone),
            (rates.host_pause * hosts, self._host_pause),
            (rates.rack_pause * racks, self._rack_pause),
            (rates.fleet_pause, self._fleet_pause),
            (rates.datastore_outage, self._outage),
            (rates.by_hand * hosts, self._by_hand),
        ):
            self._again(rate, strike)

    def _again(self, rate: float, strike: Callable[[], None]) -> None:
        """Poisson: the next one is an exponential wait away."""

        def now() -> None:
            strike()
            self._again(rate, strike)

        if rate > 0:
            self._loop.after(self._rng.expovariate(rate / YEAR), now)

    def _anyone(self) -> Host:
        return self._world.hosts[self._rng.choice(self._names)]

    def _one_of(self, weighted: tuple[tuple[str, float], ...]) -> str:
        return self._rng.choices([name for name, _ in weighted], [weight for _, weight in weighted])[0]

    def _hang(self) -> None:
        host = self._anyone()
        if host.bmc.ill or host.bmc.flashing or not host.bmc.kcs(self._loop.now):
            return
        kind = self._one_of(KINDS)
        host.bmc.obeys = self._one_of(OBEYS)
        self._book.began(host.name, kind, self._loop.now)
        self._world.hang(host, hung=kind != "LAN dead", deaf=kind != "hung")

    def _well(self) -> Host | None:
        host = self._anyone()
        well = host.up and host.bmc.kcs(self._loop.now) and host.bmc.lan(self._loop.now)
        return host if well and not host.bmc.slow else None

    def _self_reboot(self) -> None:
        if host := self._well():
            self._book.harmless["BMC restarted by itself"] += 1
            self._world.boot(host.bmc)

    def _slow(self) -> None:
        if host := self._well():
            self._book.harmless["BMC slow under honest work"] += 1
            self._world.change(host, slow=True)
            hours = self._rng.uniform(1, 12)
            self._loop.after(hours * 3600, lambda: self._world.change(host, slow=False))

    def _flash(self) -> None:
        """In-band is silent while the tool writes; the BMC restarts at its end, with another version."""
        if host := self._well():
            self._book.harmless["firmware update"] += 1
            self._world.change(host, flashing=True)
            self._loop.after(self._rng.uniform(4, 25) * MINUTE, lambda: self._flashed(host))

    def _flashed(self, host: Host) -> None:
        host.bmc.firmware = f"2.{self._rng.randint(42, 99)}"
        self._world.change(host, flashing=False)
        self._world.boot(host.bmc)

    def _host_reboot(self) -> None:
        host = self._anyone()
        if host.up:
            self._book.harmless["host rebooted"] += 1
            self._world.reboot(host, self._rng.uniform(2, 15) * MINUTE)

    def _rack_switch(self) -> None:
        rack = self._rng.choice(list(self._world.racks))
        self._book.harmless["rack switch failed"] += 1
        seconds = self._rng.uniform(2, 90) * MINUTE
        self._world.racks[rack].down_until = self._loop.now + seconds
        for host in [host for host in self._world.hosts.values() if host.rack == rack]:
            self._cut(host)
            self._loop.after(seconds, lambda host=host: self._cut(host))  # type: ignore[misc]

    def _backbone(self) -> None:
        self._book.harmless["management network failed"] += 1
        seconds = self._rng.uniform(2, 40) * MINUTE
        self._world.backbone.down_until = self._loop.now + seconds
        for host in self._world.hosts.values():
            self._cut(host)

    def _host_pause(self) -> None:
        host = self._anyone()
        self._book.harmless["pause of a host"] += 1
        self._pause(f"host={host.name}", self._rng.uniform(10, 2880))

    def _rack_pause(self) -> None:
        self._book.harmless["pause of a rack"] += 1
        self._pause(f"rack={self._rng.choice(list(self._world.racks))}", self._rng.uniform(30, 480))

    def _fleet_pause(self) -> None:
        self._book.harmless["pause of the fleet"] += 1
        self._pause("fleet", self._rng.uniform(30, 240))

    def _outage(self) -> None:
        self._book.harmless["datastore away"] += 1
        self._datastore(True)
        self._loop.after(self._rng.uniform(1, 20) * MINUTE, lambda: self._datastore(False))

    def _by_hand(self) -> None:
        self._book.harmless["asked for in chat"] += 1
        self._ask(self._anyone())
