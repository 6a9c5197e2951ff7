"""The watch behind bmc_sensor: sweeps all BMCs without sessions, and confirms suspects with one."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import replace

from bmc_healer.bmc.address import Peer
from bmc_healer.bmc.addresses import Addresses, literal
from bmc_healer.bmc.ping import sweep
from bmc_healer.bmc.session import no_answer, ping_timeout
from bmc_healer.config.inventory import Inventory
from bmc_healer.config.settings import Config, HostSettings
from bmc_healer.errors import BmcError, ConfigError
from bmc_healer.state.keys import fleet_part

from . import lan, payload, recovery
from .confirm import AT_ONCE, Confirm
from .hysteresis import Event, Incident
from .oob import LanPatient, acknowledge, confirmed, refuted, swept, taken_over
from .outages import Outages
from .patients import Patients
from .share import Share, owns
from .wire import Line, Lines

NAMES_SECONDS = 2.0  # that the first sweep of new hosts waits for their names at most
REFRESH_SECONDS = 3600.0  # what is kept of all says when each was last seen, at least to within this


class BmcWatch:
    """:param state: documents that the sensor persisted for an earlier watch, by name
    :param confirm: asks a suspect once more
    """

    def __init__(
        self,
        config: Config,
        inventory: Inventory,
        state: dict[str, Line],
        confirm: Confirm,
        lines: Lines,
        *,
        clock: Callable[[], float] = time.time,
        rng: random.Random | None = None,
    ) -> None:
        self._config = config
        self._inventory = inventory
        self._state = state
        self._confirm = confirm
        self._lines = lines
        self._clock = clock
        self._random = rng or random.Random()  # noqa: S311 (jitter)
        self._addresses = Addresses(lambda text: lines.log("warning", text), rng=self._random)
        self._patients = Patients()
        self._outages = Outages("oob", config.watch, state, lines)
        self._trouble: str | None = None
        self._hosts: dict[str, HostSettings] = {}
        self._pinned: dict[str, Peer] = {}  # the BMCs without a name to look up
        self._named: list[HostSettings] = []  # the others
        self._labels: dict[str, tuple[str, ...]] = {}
        self._answered: dict[str, tuple[str, ...]] = {}  # the labels of those that have, ever
        self._revision = -1
        self._new = True  # the hosts
        self._share: Share = None
        self._asking: dict[str, asyncio.Task[None]] = {}  # suspects that answer pings
        self._changed: set[str] = set()  # parts of the fleet of which there is something new to keep
        self._kept_at = clock()

    async def run(self) -> None:
        """Watch until cancelled."""
        seconds = self._config.watch.bmc_poll_seconds
        while True:
            started = time.monotonic()
            try:
                self._reconcile()
                self._tell_trouble(self._inventory.warning)
                await self._round(self._hosts)
            except (BmcError, ConfigError) as error:
                self._tell_trouble(error.sentence)
            except OSError as error:
                self._tell_trouble(f"the BMCs cannot be asked: {error}")
            pause = seconds * self._random.uniform(0.9, 1.1) - (time.monotonic() - started)
            await asyncio.sleep(max(pause, min(seconds, 1.0)))

    def acknowledge(self, keys: frozenset[str]) -> None:
        """Keys of incidents, or of their ends, that a heal took up."""
        for name, patient in self._patients.astir():
            self._patients.put(name, acknowledge(patient, keys))

    def share(self, share: Share, state: dict[str, Line]) -> None:
        """Which parts of the fleet to watch from the next round on, and what others knew of them."""
        self._share, self._state, self._revision = share, state, -1

    def _reconcile(self) -> None:
        """The hosts that have a BMC now, and what an earlier watch knew of those that are new."""
        self._inventory.refresh()
        if self._inventory.revision != self._revision:
            ours = (host for host in self._inventory.hosts() if host.bmc is not None)
            self._hosts = {host.name: host for host in ours if owns(self._share, host.name)}
            self._pinned = {name: peer for name, host in self._hosts.items() if (peer := literal(host))}
            self._named = [host for name, host in self._hosts.items() if name not in self._pinned]
            self._patients.keep(self._hosts, self._known)
            self._state = {}
            same: dict[tuple[str, ...], tuple[str, ...]] = {}
            keys = ((name, host.label_keys) for name, host in self._hosts.items())
            self._labels = {name: same.setdefault(labels, labels) for name, labels in keys}
            self._answered = {name: self._labels[name] for name, _ in self._patients.answered()}
            self._revision, self._new = self._inventory.revision, True

    async def _round(self, hosts: dict[str, HostSettings]) -> None:
        """One sweep and what follows from it."""
        peers = await self._peers()
        found = await asyncio.to_thread(sweep, set(peers.values()))
        now = self._clock()
        for name, before in self._patients.swept(peers, found.alive, now):
            self._take(name, before, peers[name], peers[name] in found.alive, now)
        self._assess_mass()
        self._keep(now)
        self._tell_recoveries(now)
        await self._confirm_suspects(hosts, peers)

    async def _peers(self) -> dict[str, Peer]:
        """Whom to ask: without those whose name is not known yet, for which new hosts wait a little."""
        found = self._addresses.peers(self._named)
        if self._new and len(found) < len(self._named):
            await asyncio.to_thread(self._addresses.wait, NAMES_SECONDS)
            found = self._addresses.peers(self._named)
        self._new = False
        return self._pinned | found if found else self._pinned

    def _take(self, name: str, before: LanPatient, peer: Peer, alive: bool, now: float) -> None:
        after, event = swept(before, alive, self._config.watch, now)
        self._patients.put(name, after)
        if after.answered and not before.answered:
            self._answered[name] = self._labels[name]
        if event is Event.REPEAT and after.incident is not None:
            self._tell(after, peer, "still no answer on the LAN")
        if event is Event.RECOVERED and after.recovered is not None:
            self._tell_recovery(after.recovered, now)
        if after.answered and lan.transition(before.lan, after.lan):
            self._changed.add(fleet_part(name))

    def _known(self, name: str) -> LanPatient:
        """What an earlier watch knew."""
        incident, recovered = recovery.kept(self._state.get(f"incident:{name}"))
        seen = lan.of_host(self._state, name)
        return taken_over(seen, incident, self._config.watch, self._clock(), recovered=recovered)

    def _keep(self, now: float) -> None:
        """What changed, before any single host is told: its heal will ask when its LAN fell silent."""
        if now - self._kept_at >= REFRESH_SECONDS:
            self._kept_at = now
            self._changed = {fleet_part(name) for name in self._answered}
        if changed := self._changed:
            self._changed = set()
            for name, document in lan.documents(changed, self._patients.answered()).items():
                self._lines.put({"store": {name: document}})

    def _assess_mass(self) -> None:
        silent = {name: patient for name, patient in self._patients.astir() if patient.silent}
        enough = self._config.watch.bmc_failures
        since = {name: patient.lan.dark_since or 0.0 for name, patient in silent.items()}
        ill = {name: since[name] for name, patient in silent.items() if patient.failures >= enough}
        self._outages.assess(self._answered, ill, since, self._clock())

    async def _confirm_suspects(self, hosts: dict[str, HostSettings], peers: dict[str, Peer]) -> None:
        """Ping all suspects once more, in one go; a round waits no longer, however many there are.

        Who answers has a session in the background, and stays a suspect meanwhile. Of many some are left for
        the next round, when nearly all of them will have answered the sweep.
        """
        for name in [name for name, task in self._asking.items() if task.done()]:
            self._asking.pop(name).result()  # a fault of ours
        suspects = {
            name: peers[name]
            for name, patient in self._patients.astir()
            if patient.suspect(self._config.watch)
            and name in peers
            and name not in self._asking
            and not self._outages.hold(self._labels[name])
        }
        if not suspects:
            return
        timeout = ping_timeout(self._config.ladder.session_limit)
        found = await asyncio.to_thread(sweep, set(suspects.values()), timeout=timeout)
        for name, peer in suspects.items():
            if peer in found.dark:
                self._judge(name, peer, no_answer(*peer))
            elif len(self._asking) < AT_ONCE:
                asking = self._ask(name, hosts[name], peer)
                self._asking[name] = asyncio.get_running_loop().create_task(asking)

    async def _ask(self, name: str, host: HostSettings, peer: Peer) -> None:
        self._judge(name, peer, await self._confirm.ask(host, peer))

    def _judge(self, name: str, peer: Peer, error: str | None) -> None:
        """:param error: why a suspect counts as silent; None: it answered after all"""
        patient = self._patients.get(name)
        if patient is None or not patient.suspect(self._config.watch):  # a session lasts, and sweeps go on
            return
        now = self._clock()
        if error is None:
            self._patients.put(name, refuted(patient, now))
            self._changed.add(fleet_part(name))  # no sweep will see that its silence is over
            return
        patient = confirmed(patient, name, now)
        self._patients.put(name, patient)
        self._tell(patient, peer, error)

    def _tell(self, patient: LanPatient, peer: Peer, error: str) -> None:
        incident = patient.incident
        if incident is None:
            return
        told = payload.oob(incident, peer[0], patient.failures, patient.lan.alive_at, error, self._clock())
        self._lines.put({"store": {f"incident:{incident.host}": incident.document()}})
        self._lines.put(payload.trigger(incident.trigger, told))

    def _tell_recoveries(self, now: float) -> None:
        """Again, of BMCs that still answer; in a mass outage nobody would be let take it up."""
        waiting = [
            patient.recovered
            for name, patient in self._patients.astir()
            if patient.recovered is not None
            and not patient.failures
            and not self._outages.hold(self._labels[name])
        ]
        for recovered in recovery.again(waiting, self._config.watch, now):
            patient = self._patients.get(recovered.host)
            assert patient is not None  # noqa: S101 - it waits
            self._patients.put(recovered.host, replace(patient, recovered=recovered))
            self._tell_recovery(recovered, now)

    def _tell_recovery(self, recovered: Incident, now: float) -> None:
        for line in recovery.lines(recovered, "oob", now):
            self._lines.put(line)

    def _tell_trouble(self, trouble: str | None) -> None:
        """Once, not at every sweep."""
        if trouble != self._trouble:
            self._trouble = trouble
            self._lines.log("warning" if trouble else "info", trouble or "the BMCs can be watched again")
