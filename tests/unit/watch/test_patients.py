"""Patients that are left alone while they are well, beside patients that are made anew at every sweep."""

import random
from dataclasses import replace

import pytest

from bmc_healer.config.settings import WatchSettings
from bmc_healer.watch.lan import LanSeen
from bmc_healer.watch.oob import LanPatient, acknowledge, confirmed, refuted, swept
from bmc_healer.watch.patients import Patients
from tests.unit.clock import NOW

SETTINGS = WatchSettings(bmc_failures=2, recover_polls=2)
PEERS = {f"h{n}": (f"10.0.0.{n}", 623) for n in range(12)}


class Both:
    """The same sweeps and the same verdicts for both."""

    def __init__(self):
        self.plain = {}
        self.patients = Patients()
        self.peers = PEERS
        self.events = []
        self.hosts(PEERS)

    def hosts(self, names):
        self.peers = {name: PEERS[name] for name in names}
        self.plain = {name: self.plain.get(name, LanPatient()) for name in names}
        self.patients.keep(names, lambda name: LanPatient())

    def sweep(self, silent, now):
        alive = frozenset(peer for name, peer in self.peers.items() if name not in silent)
        events = {}
        for name, peer in self.peers.items():
            self.plain[name], events[name] = swept(self.plain[name], peer in alive, SETTINGS, now)
        looked_at = self.patients.swept(self.peers, alive, now)
        for name, before in looked_at:
            after, event = swept(before, self.peers[name] in alive, SETTINGS, now)
            assert event == events.pop(name)
            self.patients.put(name, after)
        assert set(events.values()) <= {"none"}
        return len(looked_at)

    def judge(self, rng, now):
        for name, patient in self.plain.items():
            if patient.suspect(SETTINGS) and rng.random() < 0.7:
                held = self.patients.get(name)
                if rng.random() < 0.5:
                    self.plain[name], held = refuted(patient, now), refuted(held, now)
                else:
                    self.plain[name], held = confirmed(patient, name, now), confirmed(held, name, now)
                self.patients.put(name, held)

    def check(self):
        assert {name: self.patients.get(name) for name in self.plain} == self.plain
        assert dict(self.patients.answered()) == {n: p.lan for n, p in self.plain.items() if p.answered}
        resting = {n: p for n, p in self.plain.items() if n not in dict(self.patients.astir())}
        ill = ("failures", "incident", "recovered")
        assert all(p.answered and not any(getattr(p, name) for name in ill) for p in resting.values())


@pytest.mark.parametrize("seed", range(30))
def test_nobody_can_tell_them_apart(seed):
    rng, both, now = random.Random(seed), Both(), NOW
    silent = set()
    for _ in range(150):
        now += rng.choice([60.0, 60.0, 60.0, 1.0, -300.0])
        silent ^= set(rng.sample(sorted(PEERS), rng.choice([0, 0, 0, 1, 3])))
        both.sweep(silent, now)
        both.check()
        both.judge(rng, now + 5)
        both.check()
        if rng.random() < 0.1:
            both.hosts(sorted(rng.sample(sorted(PEERS), rng.randint(6, 12))))
            both.check()


def test_who_is_well_is_not_looked_at_again():
    both = Both()
    assert [both.sweep((), NOW + 60 * n) for n in range(3)] == [12, 0, 0]
    assert both.patients.get("h3").lan == LanSeen(alive_at=NOW + 120)
    assert [both.sweep({"h3"}, NOW + 60 * n) for n in range(3, 6)] == [1, 1, 1]
    assert dict(both.patients.astir()).keys() == {"h3"}
    assert [both.sweep((), NOW + 60 * n) for n in range(6, 8)] == [1, 0]


def test_an_incident_keeps_a_patient_awake_until_its_end_was_taken_up():
    both = Both()
    both.sweep((), NOW)
    for n in range(1, 3):
        both.sweep({"h3"}, NOW + 60 * n)
    both.patients.put("h3", confirmed(both.patients.get("h3"), "h3", NOW + 130))
    both.plain["h3"] = confirmed(both.plain["h3"], "h3", NOW + 130)
    assert [both.sweep((), NOW + 60 * n) for n in range(3, 6)] == [1, 1, 1]
    recovered = both.patients.get("h3")
    both.patients.put("h3", acknowledge(recovered, frozenset({recovered.recovered.key})))
    assert both.sweep((), NOW + 360) == 0
    assert replace(both.patients.get("h3"), lan=LanSeen()) == LanPatient(answered=True)
