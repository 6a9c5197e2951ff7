"""The watch behind kipmi_sensor: looks at every host, asks the LAN side when one seems ill, tells the news.

Each host has a task of its own, so a hung one delays nobody; the pings are one sweep for all.
"""

from __future__ import annotations

import asyncio
import random
import resource
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from bmc_healer.bmc.addresses import Addresses
from bmc_healer.bmc.ping import sweep
from bmc_healer.config.inventory import Inventory
from bmc_healer.config.settings import Config, HostSettings
from bmc_healer.errors import BmcError, ConfigError, HostAccessError
from bmc_healer.state.keys import fleet_part

from . import lan, recovery
from .hysteresis import Illness
from .outages import Outages
from .patient import Patient
from .probe import LEARNT, Probes
from .prober import Prober, Probers
from .share import Share, owns
from .snapshot import Sample
from .start import start_delays
from .wire import Line, Lines

BACKOFF_SECONDS = (5.0, 15.0, 60.0, 300.0)  # between attempts to reach a host; the last one stays
DESCRIPTORS = 100  # beside one for each SSH host
LEARNT_SECONDS = 60.0  # between two times that what was learnt is kept


class KipmiWatch:
    """:param state: documents that the sensor persisted for an earlier watch, by name
    :param lines: where triggers and documents go
    """

    def __init__(
        self,
        config: Config,
        inventory: Inventory,
        state: dict[str, Line],
        lines: Lines,
        *,
        clock: Callable[[], float] = time.time,
        rng: random.Random | None = None,
        prober: Callable[[HostSettings], Prober] | None = None,
    ) -> None:
        self._config = config
        self._inventory = inventory
        self._state = state
        self._lines = lines
        self._clock = clock
        self._random = rng or random.Random()  # noqa: S311 (jitter)
        self._prober = prober or Probers()
        self._patients: dict[str, Patient] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._revision = -1
        self._addresses = Addresses(lambda text: lines.log("warning", text), rng=self._random)
        self._outages = Outages("inband", config.watch, state, lines)
        self._probes = Probes(config, lines, clock)
        self._share: Share = None
        self._changed: set[str] = set()  # names of documents in which there is something new to keep
        self._learnt_kept = 0.0

    async def run(self) -> None:
        """Watch until cancelled."""
        window = self._config.watch.counter_window_seconds
        swept_all = float("-inf")
        warned: str | None = None
        while True:
            try:
                self._reconcile()
                if self._inventory.warning != warned:
                    warned = self._inventory.warning
                    self._lines.log("warning", warned or "the inventory is good again")
            except ConfigError as error:
                if error.sentence != warned:
                    warned = error.sentence
                    self._lines.log("error", warned)
            now = time.monotonic()
            everybody = now - swept_all >= self._config.watch.poll_seconds
            swept_all = now if everybody else swept_all
            await self._ask_lan([p for p in self._patients.values() if everybody or p.closely])
            self._assess_mass()
            self._keep(self._clock())
            if everybody:
                self._tell_recoveries(self._clock())
            await asyncio.sleep(window * self._random.uniform(0.8, 1.0))

    def acknowledge(self, keys: frozenset[str]) -> None:
        """Keys of incidents, or of their ends, that a heal took up."""
        for patient in self._patients.values():
            patient.acknowledge(keys)

    def share(self, share: Share, state: dict[str, Line]) -> None:
        """Which parts of the fleet to watch from now on, and what others knew of them."""
        self._share, self._state, self._revision = share, state, -1

    def _reconcile(self) -> None:
        """A task for each host that is configured now; those last seen ill start first."""
        for name, task in list(self._tasks.items()):
            if task.done():  # never by itself: a fault of ours must not leave a host unwatched in silence
                fault = "cancelled" if task.cancelled() else repr(task.exception())
                self._lines.log("error", f"{name}: the watch stumbled: {fault}; it starts again")
                self._start(self._patients[name], self._config.watch.poll_seconds)
        self._inventory.refresh()
        if self._inventory.revision == self._revision:
            return
        ours = (host for host in self._inventory.hosts() if host.transport != "none")
        hosts = {host.name: host for host in ours if owns(self._share, host.name)}
        self._revision = self._inventory.revision
        self._warn_of_descriptors(sum(host.transport == "ssh" for host in hosts.values()))
        gone = {n: self._patients.pop(n) for n, p in list(self._patients.items()) if hosts.get(n) != p.host}
        for name in gone:
            self._tasks.pop(name).cancel()
        fresh = {name: host for name, host in hosts.items() if name not in self._patients}
        for host in fresh.values():
            self._patients[host.name] = self._known(host, gone.get(host.name))
        ill = {name for name in fresh if self._patients[name].illness.incident}
        for name, delay in start_delays(fresh, ill, self._random).items():
            self._start(self._patients[name], delay)
        self._state = {}

    def _warn_of_descriptors(self, channels: int) -> None:
        most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if channels + DESCRIPTORS > most:
            text = (
                f"{channels} SSH hosts are more than {most} open files allow; raise the service's LimitNOFILE"
            )
            self._lines.log("error", text)

    def _known(self, host: HostSettings, before: Patient | None) -> Patient:
        """A host to begin with: what was known of it before its settings changed, or to an earlier watch."""
        if before is not None:
            return replace(before, host=host, samples=deque(), look=None)
        incident, recovered = recovery.kept(self._state.get(f"incident:{host.name}"))
        seen = lan.of_host(self._state, host.name) or lan.LanSeen()
        learnt = host.name in self._state.get(f"{LEARNT}{fleet_part(host.name)}", {})
        seconds = self._config.watch.probe_seconds
        ask_at = self._clock() + self._random.uniform(0.1, 1.0) * seconds
        ask = None if learnt else ask_at
        return Patient(
            host, ask_at - seconds, ask_at=ask, illness=Illness(incident), recovered=recovered, lan=seen
        )

    def _start(self, patient: Patient, delay: float) -> None:
        task = asyncio.get_running_loop().create_task(self._attend(patient, delay))
        self._tasks[patient.host.name] = task

    async def _attend(self, patient: Patient, delay: float) -> None:
        """Look at one host again and again."""
        watch = self._config.watch
        prober = self._prober(patient.host)
        failures, trouble = 0, ""
        try:
            while True:
                await asyncio.sleep(delay)
                started = time.monotonic()
                try:
                    sample = await prober.sample()
                except HostAccessError as error:
                    if error.sentence != trouble:
                        trouble = error.sentence
                        self._lines.log("warning", trouble)
                    pause = BACKOFF_SECONDS[min(failures, len(BACKOFF_SECONDS) - 1)]
                    delay, failures = pause * self._random.uniform(0.5, 1.0), failures + 1
                    continue
                if trouble:
                    self._lines.log("info", f"{patient.host.name}: can be watched again")
                failures, trouble = 0, ""
                self._examine(patient, sample)
                pause = watch.counter_window_seconds if patient.closely else watch.poll_seconds
                delay = max(pause - (time.monotonic() - started), min(pause, 1.0))
        finally:
            prober.close()

    def _examine(self, patient: Patient, sample: Sample) -> None:
        now = self._clock()
        many = len(self._patients) >= self._config.watch.mass_outage_hosts
        lines = patient.examine(
            sample,
            self._config,
            now,
            held=self._outages.hold(patient.host.label_keys),
            settle_seconds=self._config.watch.poll_seconds if many else 0.0,
        )
        for line in lines:
            self._lines.put(line)
        if patient.probe_due(self._config, now):
            learnt = partial(self._learnt, patient)
            if self._probes.start(patient.host, learnt, patient.gave_up):
                patient.probed(self._config, now)

    def _tell_recoveries(self, now: float) -> None:
        """Again, of hosts that are still well; in a mass outage nobody would be let take it up."""
        waiting = [
            patient.recovered
            for patient in self._patients.values()
            if patient.recovered is not None
            and patient.still_well
            and not self._outages.hold(patient.host.label_keys)
        ]
        for recovered in recovery.again(waiting, self._config.watch, now):
            self._patients[recovered.host].recovered = recovered
            for line in recovery.lines(recovered, "inband", now):
                self._lines.put(line)

    def _learnt(self, patient: Patient) -> None:
        patient.learnt()
        self._changed.add(f"{LEARNT}{fleet_part(patient.host.name)}")

    async def _ask_lan(self, patients: list[Patient]) -> None:
        hosts = {patient.host.name: patient for patient in patients}
        peers = self._addresses.peers(patient.host for patient in patients)
        if not peers:
            return
        try:
            found = await asyncio.to_thread(sweep, list(set(peers.values())), attempts=3)
        except (BmcError, OSError) as error:
            self._lines.log("warning", f"the BMCs cannot be pinged: {error}")
            return
        for name, peer in peers.items():
            patient = hosts[name]
            before, patient.lan = patient.lan, lan.seen(patient.lan, peer in found.alive, self._clock())
            if before.dark_now != patient.lan.dark_now:
                self._changed.add(lan.name_of(fleet_part(name)))

    def _keep(self, now: float) -> None:
        """What has changed, each document with a whole part of the fleet; of what was learnt now and then."""
        if now - self._learnt_kept < LEARNT_SECONDS:
            due = {name for name in self._changed if not name.startswith(LEARNT)}
        else:
            due, self._learnt_kept = set(self._changed), now
        self._changed -= due
        if not due:
            return
        seen = ((name, p.lan) for name, p in self._patients.items() if p.lan != lan.LanSeen())
        documents = lan.documents({fleet_part(name) for name in self._patients}, seen)
        for name, patient in self._patients.items():
            if patient.ask_at is None:
                documents.setdefault(f"{LEARNT}{fleet_part(name)}", {})[name] = True
        for name in sorted(due & documents.keys()):
            self._lines.put({"store": {name: documents[name]}})

    def _assess_mass(self) -> None:
        """Many ill hosts at once are told as one; their own triggers are held back, pending ones too.

        After a restart nobody has been looked at; later who is ill is suspicious before a signature shows.
        """
        patients = self._patients.values()
        members = {p.host.name: p.host.label_keys for p in patients if p.look is not None}
        ill = {p.host.name: p.illness.incident.since for p in patients if p.illness.incident}
        ill |= {p.host.name: p.illness.pending_since for p in patients if p.illness.pending_since}
        out = self._outages.hosts
        unsure = {
            p.host.name: p.host.label_keys
            for p in patients
            if (p.host.name in out and (p.look is None or p.look.suspicious))
            or (p.host.name in ill and p.look is None)
        }
        self._outages.assess(members, ill, ill, self._clock(), unsure=unsure)
