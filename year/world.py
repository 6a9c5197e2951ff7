"""The made-up world: BMCs that hang, boot and die, the hosts they sit in, and the racks' switches.

It knows what is true. The product sees of it what a real one would show: pings, sessions, text from /proc.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from year.loop import Loop

BOOT_DARK = (45.0, 150.0)  # seconds without LAN after a reset; RUNBOOK 5: 60 s to several minutes
BOOT_KCS = (10.0, 120.0)  # and then without KCS: the LAN often returns minutes before it
STUCK_SECONDS = (
    220.0  # what one unanswered command keeps the driver busy, up to 6.12; on 7.2 for ever (KERNELS)
)
OLD, QUEUES, NEW = "2.6.32-754.el6", "6.1.0-56-amd64", "7.2.0"


@dataclass
class Switch:
    """What carries a rack's management network."""

    down_until: float = 0.0


@dataclass
class Bmc:
    """`obeys`: what a cold reset does: `cures`, `ignores`, `dies`, `relapses` (hangs again within hours).

    `ill_since`: when it last fell ill
    """

    name: str
    address: str
    guid: str
    switches: tuple[Switch, ...]
    hung: bool = False
    deaf: bool = False
    dead: bool = False
    flashing: bool = False
    slow: bool = False
    obeys: str = "cures"
    dark_until: float = 0.0
    kcs_until: float = 0.0
    firmware: str = "2.41"
    ill_since: float = 0.0

    def lan(self, now: float) -> bool:
        """It answers on the management network."""
        cut = any(switch.down_until > now for switch in self.switches)
        return not (self.dead or self.deaf or cut) and now >= self.dark_until

    def kcs(self, now: float) -> bool:
        """It answers in-band."""
        return not (self.dead or self.hung or self.flashing) and now >= self.kcs_until

    @property
    def ill(self) -> bool:
        """It needs help: what a reset or a person is for."""
        return self.hung or self.deaf or self.dead

    def needs_reset(self, now: float) -> bool:
        """What a reset is right for: ill, and neither booting nor under update."""
        return self.ill and not self.flashing and now >= self.dark_until


@dataclass
class Host:
    """A machine with its BMC. `asked`: its monitoring uses IPMI once a minute."""

    name: str
    address: str
    rack: str
    bmc: Bmc
    kernel: str
    asked: bool
    up: bool = True
    boots: int = 0
    booted_at: float = 0.0
    driver: bool = True  # ipmi_si is loaded
    device: bool = True  # and it found its BMC
    throttle: int = 0
    queued: bool = False  # an in-band reset waits in the driver
    asked_until: float = 0.0  # a question of the product keeps the driver at it, with or without its client
    pile_since: float | None = None  # monitoring's clients hang since then
    lease: list[str] | None = None
    completed: float = 0.0
    timeouts: float = 0.0
    ticks: float = 0.0
    counted_at: float = 0.0

    @property
    def boot_id(self) -> str:
        """Another one after every boot."""
        return f"{self.boots:08x}-{self.name}"

    def count(self, now: float) -> None:
        """Bring the driver's counters and kipmi's CPU up to a time; to be called before anything changes."""
        since, self.counted_at = self.counted_at, now
        if not (self.up and self.driver and self.device):
            self.pile_since = None
            return
        back = min(max(self.bmc.kcs_until, since), now)
        for start, end in ((since, back), (back, now)):
            if end > start:
                self._pass(start, end - start)

    def _pass(self, start: float, seconds: float) -> None:
        if self.bmc.kcs(start):
            self.pile_since = None
            self.asked_until, hard = 0.0, self.bmc.slow
            self.completed += seconds * (0.4 if hard else 0.05 if self.asked else 0.0)
            self.timeouts += seconds * (90 if hard else 0)
            self.ticks += seconds * (96.0 if hard else 0.3) * (0.03 if self.throttle else 1.0)
            return
        asking = seconds if self.asked or self.queued else min(seconds, self.asked_until - start)
        if asking > 0:
            if self.asked and self.pile_since is None:
                self.pile_since = start
            spins = 100.0 if self.kernel == OLD else 16.0
            self.timeouts += asking * 90
            self.ticks += asking * spins * (0.03 if self.throttle else 1.0)

    def ask(self, now: float) -> None:
        """Somebody asks a BMC that does not answer."""
        self.count(now)
        self.asked_until = math.inf if self.kernel == NEW else max(self.asked_until, now) + STUCK_SECONDS

    def pile(self, now: float) -> list[tuple[int, float]]:
        """(pid, age) of monitoring's clients that hang: one a minute, ten at most (the field's rule)."""
        if self.pile_since is None:
            return []
        waited = now - self.pile_since
        return [(3000 + number, waited - 60 * number) for number in range(min(int(waited // 60) + 1, 10))]


@dataclass
class World:
    """Everything there is, and what happens to it. `told`: who hears of every reset (BMC, by what)."""

    loop: Loop
    rng: random.Random
    hosts: dict[str, Host] = field(default_factory=dict)
    by_address: dict[str, Bmc] = field(default_factory=dict)
    host_of: dict[str, Host] = field(default_factory=dict)
    racks: dict[str, Switch] = field(default_factory=dict)
    backbone: Switch = field(default_factory=Switch)
    on_reset: Callable[[Bmc, str], None] = lambda bmc, by: None
    on_change: Callable[[Host], None] = lambda host: None
    on_cure: Callable[[Host, str], None] = lambda host, by: None

    def reset(self, bmc: Bmc, by: str) -> None:
        """A cold reset reaches the BMC."""
        host = self.host_of[bmc.name]
        self.on_reset(bmc, by)
        host.count(self.loop.now)
        if bmc.obeys == "ignores" and bmc.ill:
            return
        if bmc.obeys == "dies" and bmc.ill:
            bmc.dead = True
            self._changed(host)
            return
        was_ill, bmc.hung, bmc.deaf = bmc.ill, False, False
        self.boot(bmc)
        if was_ill:
            self.on_cure(host, by)
        if bmc.obeys == "relapses":
            self.loop.after(self.rng.expovariate(1 / 5400), lambda: self.hang(host))

    def boot(self, bmc: Bmc) -> None:
        """It restarts: dark, then LAN, then KCS; then the driver sends what waits in it."""
        host, now = self.host_of[bmc.name], self.loop.now
        host.count(now)
        bmc.dark_until = now + self.rng.uniform(*BOOT_DARK)
        bmc.kcs_until = bmc.dark_until + self.rng.uniform(*BOOT_KCS)
        self.loop.at(bmc.dark_until, lambda: self._changed(host))
        self.loop.at(bmc.kcs_until, lambda: self._kcs_back(host))
        self._changed(host)

    def _kcs_back(self, host: Host) -> None:
        if not host.bmc.kcs(self.loop.now):
            return
        host.count(self.loop.now)
        if host.queued and host.driver:
            host.queued = False
            self.reset(host.bmc, "late")
        self._changed(host)

    def hang(self, host: Host, *, hung: bool = True, deaf: bool = False) -> None:
        """The fault."""
        host.count(self.loop.now)
        if not host.bmc.ill:
            host.bmc.ill_since = self.loop.now
        host.bmc.hung, host.bmc.deaf = host.bmc.hung or hung, host.bmc.deaf or deaf
        self._changed(host)

    def repair(self, host: Host) -> None:
        """A person drains its power or swaps the board."""
        host.count(self.loop.now)
        bmc = host.bmc
        bmc.hung = bmc.deaf = bmc.dead = False
        bmc.obeys = "cures"
        if not (host.driver and host.device):
            host.driver = host.device = True
        host.queued = False
        self.boot(bmc)

    def reboot(self, host: Host, seconds: float) -> None:
        """The host goes down, comes back, and its driver looks for the BMC."""
        host.count(self.loop.now)
        host.up = False
        self._changed(host)
        self.loop.after(seconds, lambda: self._booted(host))

    def _booted(self, host: Host) -> None:
        now = self.loop.now
        host.count(now)
        host.up, host.boots, host.booted_at = True, host.boots + 1, now
        host.driver, host.device = True, host.bmc.kcs(now)
        host.queued, host.throttle, host.lease, host.pile_since = False, 0, None, None
        host.asked_until = 0.0
        host.completed = host.timeouts = host.ticks = 0.0
        self._changed(host)

    def change(self, host: Host, **what: bool) -> None:
        """Set what is true of its BMC: `slow`, `flashing`."""
        host.count(self.loop.now)
        for name, value in what.items():
            setattr(host.bmc, name, value)
        self._changed(host)

    def _changed(self, host: Host) -> None:
        host.count(self.loop.now)
        self.on_change(host)
