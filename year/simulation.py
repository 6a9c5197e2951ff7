"""One run: a world, the product in it, and a book that is kept from outside."""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bmc_healer.config.inventory import Inventory
from bmc_healer.config.load import from_dict
from bmc_healer.errors import HealerError
from bmc_healer.plan import BRING_BACK
from bmc_healer.state import keys
from bmc_healer.state.documents import Lock
from bmc_healer.verbs import people
from year.book import HOUR, Book, Reset
from year.engine import Engine
from year.fate import DAY, Fate, Rates
from year.loop import Loop
from year.memory import Memory
from year.rim import Made, replaced
from year.sensors import Sensors
from year.world import NEW, OLD, QUEUES, Bmc, Host, Switch, World

LOCKS = keys.key(keys.FLEET, "lock")
START = 1_790_000_000.0
RACK = 40  # hosts
KILLED = 0.04
UNASKED = 0.15  # hosts whose monitoring never uses IPMI: only the rare probe finds the hang
CROSSED = 3  # pairs of hosts whose BMC addresses were mixed up in the inventory
OVERDUE_SECONDS = 60.0  # how often the sensor looks for heals without a sign of life
WORKING = 3 * 3600.0  # mean time until a person has seen to an escalated host


class Simulation:
    """:param place: a directory for the inventory file
    :param killed: share of the heals whose process is killed half-way
    """

    def __init__(
        self,
        hosts: int,
        seed: int,
        place: Path,
        rates: Rates = Rates(),  # noqa: B008 - frozen
        killed: float = KILLED,
    ) -> None:
        self.rng = random.Random(seed)  # noqa: S311 - a seed must give the same year again
        self.loop = Loop(START)
        self.book = Book()
        self.world = World(self.loop, self.rng)
        self.memory = Memory(self.loop)
        self._paused: list[tuple[str, float, float]] = []
        self._build(hosts)
        self._crossed = self._mix_up()
        inventory = place / "hosts.json"
        inventory.write_text(json.dumps(self._inventory()))
        self.config = from_dict(
            {
                "mode": "auto",
                "inventory": str(inventory),
                "credentials": {"lab": {"username": "admin", "password": "made up"}},
            },
            origin="the simulation",
            plain_secrets=True,
        )
        self._hosts = Inventory(self.config)
        settings = {host.name: host for host in self._hosts.hosts()}
        self.engine = Engine(self.loop, self.rng, self._runtime, self._heard, killed)
        self.sensors = Sensors(self.world, self.config, settings, self.memory, self._trigger, self.rng)
        self.world.on_change = self._notice
        self.world.on_reset = self._reset
        self.world.on_cure = self._cured
        Fate(
            self.world,
            self.book,
            self.rng,
            rates,
            cut=lambda host: self._notice(host, lan_only=True),
            pause=self._pause,
            ask=lambda host: self.engine.heal(host.name, source="chat", reason="asked for in chat"),
            datastore=lambda down: setattr(self.memory, "down", down),
        )
        self.loop.after(OVERDUE_SECONDS, self._overdue)

    def run(self, days: float) -> Book:
        """Let so many days pass."""
        with replaced(self.world):
            self.loop.run(START + days * DAY)
        return self.book

    def forgotten(self) -> list[Lock]:
        """Locks of heals that died and that nobody has tidied up; no heal lasts an hour."""
        locks = self._runtime().state.fleet().locks
        return [lock for lock in locks if self.loop.now - lock.taken_at > HOUR]

    def _build(self, count: int) -> None:
        for number in range(count):
            rack = f"r{number // RACK:03d}"
            switch = self.world.racks.setdefault(rack, Switch())
            address = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
            guid = str(uuid.UUID(int=self.rng.getrandbits(128), version=4))
            bmc = Bmc(f"bmc{number}", address, guid, (switch, self.world.backbone))
            kernel = self.rng.choice((OLD, QUEUES, NEW))
            asked = self.rng.random() >= UNASKED
            name = f"db{number:05d}"
            host = Host(name, f"10.200.{number >> 8 & 255}.{number & 255}", rack, bmc, kernel, asked)
            host.booted_at = host.counted_at = START
            self.world.hosts[name] = self.world.host_of[bmc.name] = host
            self.world.by_address[address] = bmc

    def _mix_up(self) -> dict[str, str]:
        """The hosts whose BMC addresses the inventory confuses, each with the other one of its pair."""
        names = list(self.world.hosts)
        count = CROSSED if len(names) > 100 * CROSSED else 0
        pairs = [(names[97 * pair], names[97 * pair + 41]) for pair in range(count)]
        return dict(pairs) | {two: one for one, two in pairs}

    def _named(self, name: str) -> Host:
        """The host in which the BMC sits whose address the inventory gives for `name`."""
        return self.world.hosts[self._crossed.get(name, name)]

    def _inventory(self) -> dict[str, Any]:
        return {
            name: {
                "address": host.address,
                "bmc": {"address": self._named(name).bmc.address, "credential": "lab"},
                "labels": {"rack": host.rack},
            }
            for name, host in self.world.hosts.items()
        }

    def _runtime(self) -> Made:
        token = lambda: f"{self.rng.getrandbits(64):016x}"  # noqa: E731 - shorter than a method
        return Made(self.world, self.config, self._hosts, self.memory, self.engine, token)

    # What the product does

    def _notice(self, host: Host, *, lan_only: bool = False) -> None:
        """What happens to a BMC is seen under the name that the inventory gives it, too."""
        self.sensors.notice(host, lan_only=lan_only)
        if host.name in self._crossed:
            self.sensors.notice(self._named(host.name), lan_only=True)

    def _said(self, host: str) -> None:
        """People heard of the host; of a silent address, whoever it belongs to."""
        self.book.said(host, self.loop.now)
        if not self._named(host).bmc.lan(self.loop.now):
            self.book.said(self._named(host).name, self.loop.now)

    def _trigger(self, name: str, told: dict[str, Any]) -> None:
        """The rules."""
        if name in ("kipmi.high_cpu", "bmc.unresponsive"):
            self.engine.heal(told["host"], source="sensor", key=told["key"], reason=name)
        elif name in ("kipmi.recovered", "bmc.recovered"):
            self.engine.heal(told["host"], source="sensor", key=told["key"], rungs=list(BRING_BACK))
        elif name == "bmc.mass_outage":
            for host in self.world.hosts.values():
                if told["label"] in ("fleet", f"rack={host.rack}"):
                    self._said(host.name)

    def _overdue(self) -> None:
        if self.engine.acting or self.memory.holds(LOCKS):
            for host in self.sensors.overdue(self.engine):
                self.engine.tidy(host)
        self.loop.after(OVERDUE_SECONDS, self._overdue)

    def _heard(self, host: str, what: str, told: Mapping[str, Any]) -> None:
        """`begun`, `tell_end` (a refusal that chat hears), `end` (one that it has heard), or `ended`."""
        if what == "end":
            return
        self._said(host)
        if what == "begun":
            return
        outcome = str(told["outcome"])
        self.book.outcomes[outcome] += 1
        if outcome == "refused" and what == "tell_end":
            self.book.refusals[str(told.get("rule", "other"))] += 1
        if outcome == "healed" and self._was_ill(host, str(told.get("incident") or told["id"])):
            self.book.false_heals.append(host)
        if outcome in ("escalated", "relieved", "proposed"):
            self._visit(host)

    def _was_ill(self, host: str, incident: str) -> bool:
        """Whether it was ill when the last gate began: what hangs again after that is another fault."""
        bmc, heal = self.world.hosts[host].bmc, self._runtime().state.incident(incident)
        if heal is None:
            raise RuntimeError(f"no report of {incident}")
        return bmc.ill and bmc.ill_since <= heal["steps"][-1]["at"]

    def _reset(self, bmc: Bmc, by: str) -> None:
        now, host = self.loop.now, self.world.host_of[bmc.name]
        kind = by.partition(" ")[0]
        process = self.loop.current
        acting = self.engine.acting.get(process, ("", "")) if process is not None else ("", "")
        wrong = ""
        if kind != "late":
            if acting[0] != host.name:
                wrong = f"it was meant for {acting[0]}"
            elif not bmc.needs_reset(now):
                wrong = "the BMC was well, booting or under update"
            elif any(switch.down_until > now for switch in bmc.switches):
                wrong = "its network was out"
            elif self._is_paused(host, now):
                wrong = "it was paused"
        self.book.reset(Reset(now, bmc.name, kind, acting[1], wrong))

    def _cured(self, host: Host, by: str) -> None:
        self.book.ended(host.name, "product", self.loop.now)

    # What people do

    def _pause(self, target: str, minutes: float) -> None:
        def ask() -> None:
            try:
                people.pause(self._runtime(), {"target": target, "minutes": minutes, "user": "operator"})
            except HealerError:
                return
            self._paused = [pause for pause in self._paused if pause[2] > self.loop.now]
            self._paused.append((target, self.loop.now, self.loop.now + minutes * 60))

        self.loop.spawn(ask)

    def _is_paused(self, host: Host, now: float) -> bool:
        targets = {"fleet", f"host={host.name}", f"rack={host.rack}"}
        return any(target in targets and since < now < until for target, since, until in self._paused)

    def _visit(self, host: str) -> None:
        if host not in self.book.awaited:
            self.book.awaited.add(host)
            wait = 1800 + self.rng.expovariate(1 / WORKING)
            self.loop.after(wait, lambda: self._send_somebody(host))

    def _send_somebody(self, host: str) -> None:
        self.loop.spawn(lambda: self._see_to(host))

    def _see_to(self, name: str) -> None:
        """A person looks at the host, mends what is broken, and lets heals run again.

        Who finds another machine's BMC at the address of a host sees to that one, too.
        """
        self.book.awaited.discard(name)
        for host in {one.name: one for one in (self.world.hosts[name], self._named(name))}.values():
            if host.bmc.ill or not (host.driver and host.device):
                self.world.repair(host)
                self.book.ended(host.name, "person", self.loop.now)
        try:
            people.resume(self._runtime(), {"target": name})
        except HealerError:
            self._visit(name)
