"""Both watches over the whole fleet: the real state machines, looking only where there may be something.

A look at a host and a BMC that are well changes nothing in them (tests/unit/properties/test_watch.py holds
it), so ten thousand of them a minute are left out: a host is looked at from when something happens to it
until it, and what the watches think of it, have been calm for a while.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from bmc_healer.config.settings import Config, HostSettings
from bmc_healer.errors import HealerError, StateError
from bmc_healer.host.probe import inband_answer
from bmc_healer.state.keys import fleet_part
from bmc_healer.watch import lan, payload, recovery
from bmc_healer.watch.hysteresis import Event, Incident
from bmc_healer.watch.ledger import Ledger
from bmc_healer.watch.members import Member
from bmc_healer.watch.oob import LanPatient, acknowledge, confirmed, refuted, swept
from bmc_healer.watch.outages import RENEW_SECONDS, Outages
from bmc_healer.watch.overdue import Telling
from bmc_healer.watch.patient import Patient
from bmc_healer.watch.wire import Lines
from year.host import Access, sample
from year.memory import Memory
from year.world import Host, World

CALM_SECONDS = 660.0  # without news: looked at rarely, or not at all when all is well; above booting_seconds
RARELY_SECONDS = 600.0


class Sensors(Lines):
    """:param dispatch: hears each trigger: its name and payload."""

    def __init__(
        self,
        world: World,
        config: Config,
        settings: Mapping[str, HostSettings],
        memory: Memory,
        dispatch: Callable[[str, dict[str, Any]], None],
        rng: random.Random,
    ) -> None:
        self._world, self._loop, self._config = world, world.loop, config
        self._settings, self._dispatch, self._rng = settings, dispatch, rng
        me = Member("year", "", "")
        self._ledgers = {kind: Ledger(kind, memory, self._loop, me) for kind in ("kipmi", "bmc")}
        for ledger in self._ledgers.values():
            ledger.members.renew()  # alone in its fleet
        self._outages = {
            kind: Outages(path, config.watch, {}, self)
            for kind, path in (("kipmi", "inband"), ("bmc", "oob"))
        }
        self._members = {name: host.label_keys for name, host in settings.items()}
        self._patients: dict[str, Patient] = {}
        self._lans: dict[str, LanPatient] = {}
        self._news: dict[str, float] = {}
        self._due: dict[str, float] = {}
        self._lan_seen: dict[str, lan.LanSeen] = {}
        self._probing: set[str] = set()
        self._turned: set[str] = set()
        self._assessed: dict[str, tuple[dict[str, float], dict[str, float], float]] = {}
        self._talks = "kipmi"
        self._telling = Telling()
        self._backlog: list[tuple[str, dict[str, Any]]] = []
        self._ticking = False

    def notice(self, host: Host, *, lan_only: bool = False) -> None:
        """Something has happened to a host or its BMC; `lan_only`: to what lies between us and the BMC."""
        now = self._loop.now
        self._news[host.name] = now
        seen = self._lan_seen.get(host.name, lan.LanSeen(alive_at=now))
        patient = self._lans.setdefault(host.name, LanPatient(seen, answered=True))
        if not lan_only:
            self._due[host.name] = now
            if host.name not in self._patients:
                asked = now if host.asked else now - self._rng.uniform(0, self._config.watch.probe_seconds)
                self._patients[host.name] = Patient(self._settings[host.name], asked, lan=patient.lan)
        if not self._ticking:
            self._ticking = True
            self._loop.after(self._config.watch.counter_window_seconds, self._tick)

    # Lines

    def put(self, line: dict[str, Any]) -> None:
        """What a watch says: the sensor keeps it, or hands it to the engine; later, when it cannot."""
        self._backlog.append((self._talks, line))
        self._flush()

    def log(self, level: str, text: str) -> None:
        """Nobody reads it."""

    def _flush(self) -> None:
        while self._backlog:
            kind, line = self._backlog[0]
            try:
                self._ledgers[kind].take(line)
            except StateError:
                return
            self._backlog.pop(0)
            if "trigger" in line:
                self._dispatch(line["trigger"].partition(".")[2], line["payload"])

    # Looking

    def _tick(self) -> None:
        now, watch = self._loop.now, self._config.watch
        self._flush()
        for name in [name for name, due in self._due.items() if due <= now]:
            self._look(self._world.hosts[name], now)
        if int(now / watch.counter_window_seconds) % 6 == 0:
            self._sweep(now)
            self._tell_recoveries(now)
            self._acknowledge()
        self._assess("kipmi", *self._ill_inband(), now)
        self._ticking = bool(self._patients or self._lans or any(out.hosts for out in self._outages.values()))
        if self._ticking:
            self._loop.after(watch.counter_window_seconds, self._tick)

    def _look(self, host: Host, now: float) -> None:
        patient, self._talks = self._patients[host.name], "kipmi"
        watch = self._config.watch
        calm = now - self._news[host.name] > CALM_SECONDS
        if host.up:
            self._ask_lan(host, patient, now)
            lines = patient.examine(
                sample(host, now),
                self._config,
                now,
                held=self._outages["kipmi"].hold(patient.host.label_keys),
                settle_seconds=watch.poll_seconds,
            )
            for line in lines:
                self.put(line)
            if lines:
                self._news[host.name], calm = now, False
            self._probe(host, patient, now)
        pause = watch.counter_window_seconds if patient.closely else watch.poll_seconds
        incident = patient.illness.incident
        settled = calm and (incident.acknowledged if incident else self._answers(host, now))
        self._due[host.name] = now + (RARELY_SECONDS if settled else pause)
        at_rest = patient.illness.pending_since is None and not (incident or patient.recovered)
        if calm and at_rest and self._well(host, now):
            del self._patients[host.name], self._due[host.name]

    def _answers(self, host: Host, now: float) -> bool:
        return not host.up or (host.driver and host.device and host.bmc.kcs(now))

    def _well(self, host: Host, now: float) -> bool:
        return host.up and self._answers(host, now) and not host.bmc.slow

    def _ask_lan(self, host: Host, patient: Patient, now: float) -> None:
        address = patient.host.bmc.address if patient.host.bmc else ""
        before, patient.lan = (
            patient.lan,
            lan.seen(patient.lan, self._world.by_address[address].lan(now), now),
        )
        if before.dark_now != patient.lan.dark_now:
            self._keep_lan({host.name}, {name: p.lan for name, p in self._patients.items()})

    def _keep_lan(self, turned: set[str], seen: dict[str, lan.LanSeen]) -> None:
        """What the pings saw, for whoever heals: of those that are looked at now, and lately were."""
        if turned:
            known = self._lan_seen | seen
            for name, document in lan.documents({fleet_part(host) for host in turned}, known.items()).items():
                self.put({"store": {name: document}})

    def _probe(self, host: Host, patient: Patient, now: float) -> None:
        if host.name in self._probing or not patient.probe_due(self._config, now):
            return
        patient.probed(self._config, now)
        self._probing.add(host.name)
        self._loop.spawn(lambda: self._ask(host))

    def _ask(self, host: Host) -> None:
        try:
            with Access(self._world, host) as access:
                answer = inband_answer(access, limit=self._config.ladder.probe_limit, mark="probe")
            if answer.answered:
                self._talks = "kipmi"
                self.put({"remember": {"host": host.name, "inband_ok_at": self._loop.now}})
        except HealerError:
            pass
        finally:
            self._probing.discard(host.name)

    # The other watch

    def _sweep(self, now: float) -> None:
        self._talks = "bmc"
        for name in list(self._lans):
            self._take(name, now)
            patient = self._lans[name]
            if name not in self._patients and now - self._news[name] > CALM_SECONDS and _at_rest(patient):
                self._lan_seen[name] = patient.lan
                del self._lans[name], self._news[name]
        turned, self._turned = self._turned, set()
        self._keep_lan(turned, {name: patient.lan for name, patient in self._lans.items()})
        silent = {n: p.lan.dark_since or 0.0 for n, p in self._lans.items() if p.failures}
        enough = self._config.watch.bmc_failures
        ill = {name: since for name, since in silent.items() if self._lans[name].failures >= enough}
        self._assess("bmc", ill, silent, now)
        for name, patient in list(self._lans.items()):
            if not patient.suspect(self._config.watch) or self._outages["bmc"].hold(self._members[name]):
                continue
            if self._alive(name, now):
                self._lans[name] = refuted(patient, now)
            else:
                self._lans[name] = confirmed(patient, name, now)
                self._tell(name, now)

    def _take(self, name: str, now: float) -> None:
        before = self._lans[name]
        after, event = swept(before, self._alive(name, now), self._config.watch, now)
        self._lans[name] = after
        if event is Event.REPEAT:
            self._tell(name, now)
        if event is Event.RECOVERED and after.recovered is not None:
            self._tell_recovery("bmc", after.recovered, now)
        if lan.transition(before.lan, after.lan):
            self._turned.add(name)

    def _tell(self, name: str, now: float) -> None:
        patient = self._lans[name]
        if patient.incident is None:
            return
        address = self._settings[name].bmc.address  # type: ignore[union-attr]
        told = payload.oob(patient.incident, address, patient.failures, patient.lan.alive_at, "silent", now)
        self.put({"store": {f"incident:{name}": patient.incident.document()}})
        self.put(payload.trigger(patient.incident.trigger, told))

    def _tell_recoveries(self, now: float) -> None:
        """Again, what is over and what nobody took up."""
        well = [p.recovered for p in self._patients.values() if p.recovered is not None and p.still_well]
        for recovered in recovery.again(well, self._config.watch, now):
            self._patients[recovered.host].recovered = recovered
            self._tell_recovery("kipmi", recovered, now)
        alive = [p.recovered for p in self._lans.values() if p.recovered is not None and not p.failures]
        for recovered in recovery.again(alive, self._config.watch, now):
            self._lans[recovered.host] = replace(self._lans[recovered.host], recovered=recovered)
            self._tell_recovery("bmc", recovered, now)

    def _tell_recovery(self, kind: str, recovered: Incident, now: float) -> None:
        self._talks = kind
        for line in recovery.lines(recovered, "inband" if kind == "kipmi" else "oob", now):
            self.put(line)

    def _alive(self, name: str, now: float) -> bool:
        bmc = self._settings[name].bmc
        return bmc is not None and self._world.by_address[bmc.address].lan(now)

    # Many at once, and what others did

    def _ill_inband(self) -> tuple[dict[str, float], dict[str, float]]:
        found = {n: p.illness.incident.since for n, p in self._patients.items() if p.illness.incident}
        found |= {n: p.illness.pending_since for n, p in self._patients.items() if p.illness.pending_since}
        return found, found

    def _assess(self, kind: str, ill: dict[str, float], suspects: dict[str, float], now: float) -> None:
        """Asked again only when who is ill changed, or to renew what it declared: soon enough for an end."""
        before = self._assessed.get(kind)
        if before is not None and before[:2] == (ill, suspects) and now - before[2] < RENEW_SECONDS:
            return
        if before is None and not suspects:
            return
        self._assessed[kind] = (ill, suspects, now)
        self._talks = kind
        self._outages[kind].assess(self._members, ill, suspects, now)

    def _acknowledge(self) -> None:
        for kind, ledger in self._ledgers.items():
            try:
                keys = frozenset(ledger.newly_acknowledged())
            except StateError:
                continue
            if keys and kind == "kipmi":
                for patient in self._patients.values():
                    patient.acknowledge(keys)
            elif keys:
                self._acknowledge_lan(keys)

    def _acknowledge_lan(self, keys: frozenset[str]) -> None:
        for name, patient in self._lans.items():
            self._lans[name] = acknowledge(patient, keys)

    def overdue(self, executions: Any) -> list[str]:
        """Hosts whose heal gives no sign of life, when it is time to tell."""
        watch, ledger = self._config.watch, self._ledgers["bmc"]
        try:
            late = ledger.overdue(watch) + ledger.lost(executions, watch)
        except StateError:
            return []
        return [item.lock.host for item in self._telling.due(late, watch.repeat_seconds, self._loop.now)]


def _at_rest(patient: LanPatient) -> bool:
    return patient.incident is None and patient.recovered is None and patient.failures == 0
