"""The kipmi watch with scripted hosts and a real (simulated) BMC on the LAN side."""

import asyncio
import random
import threading
import time
from dataclasses import replace
from functools import partial

import pytest

from bmc_healer.bmc import addresses
from bmc_healer.bmc.ping import sweep
from bmc_healer.errors import HostAccessError
from bmc_healer.state.keys import fleet_part
from bmc_healer.watch import kipmi, lan
from bmc_healer.watch.kipmi import KipmiWatch
from lab import BmcSim

from .collect import Said, config_of, run_until
from .samples import FIRST, IDLE, POLLED, STUCK, after

LOADED = {"kipmi": 99.0, "completed": 40, "timeouts": 300}  # suspicious; a signature once it is sustained

FAST = {"poll_seconds": 0.2, "counter_window_seconds": 0.1, "sustained_seconds": 0.5, "probe_seconds": 0}


INCIDENT = {
    "key": "h1:b00t:1",
    "host": "h1",
    "trigger": "kipmi.high_cpu",
    "signature": "stuck_counters",
    "silent": True,
    "since": 1.0,
    "told_at": 1.0,
}


class Scripted:
    """Stands in for a host: kernel threads and counters of a driver cannot be made here.

    Gives one sample per request, the last window again and again.
    """

    def __init__(self, *windows):
        self.windows = list(windows)
        self.last = FIRST
        self.closed = False

    async def sample(self):
        window = self.windows.pop(0) if len(self.windows) > 1 else self.windows[0]
        if isinstance(window, Exception):
            raise window
        if window is None:
            await asyncio.sleep(3600)
        self.last = after(self.last, **window)
        return self.last

    def close(self):
        self.closed = True


def hosts(*names, **more):
    return {name: {"address": "127.0.0.1", "transport": "ssh", **more} for name in names}


def with_bmc(sim, name="db01"):
    return hosts(name, bmc={"address": "127.0.0.1", "port": sim.lan_port, "credential": "lab"})


def watch(said, probers, hosts, state=None, **settings):
    config, inventory = config_of(hosts, **FAST | settings)
    return KipmiWatch(config, inventory, state or {}, said, prober=lambda host: probers[host.name])


@pytest.fixture(scope="module")
def sim():
    with BmcSim() as sim:
        yield sim


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """A simulator on this machine answers in milliseconds: nobody has to wait a second for each attempt."""
    monkeypatch.setattr(kipmi, "sweep", partial(sweep, timeout=0.2))


@pytest.fixture
def said():
    return Said()


def test_a_hang_with_a_living_lan_side_is_told_and_its_end_too(said, sim):
    host = Scripted(POLLED, *[STUCK] * 20, POLLED)
    assert run_until(watch(said, {"db01": host}, with_bmc(sim)), lambda: "kipmi.recovered" in said.names())
    assert said.names() == ["kipmi.high_cpu", "kipmi.recovered"]
    (told,) = said.triggers("kipmi.high_cpu")
    assert (told["host"], told["signature"], told["lan"]["verdict"]) == ("db01", "stuck_counters", "alive")
    assert told["driver"]["completed"] == 0
    assert said.triggers("kipmi.recovered")[0]["key"] == f"{told['key']}:recovered"
    assert said.stored()["incident:db01"]["recovered_at"], "kept until somebody takes it up"
    assert host.closed


def test_the_incident_is_kept_before_it_is_told(said, sim):
    assert run_until(watch(said, {"db01": Scripted(STUCK)}, with_bmc(sim)), lambda: said.names())
    kinds = [next(iter(line)) for line in said.lines]
    assert kinds.index("store") < kinds.index("trigger")
    assert any("hang_proven_at" in line.get("remember", {}) for line in said.lines)


def test_a_reboot_of_the_bmc_is_left_alone(said, sim):
    sim.bmc.lan_dead()
    try:
        watching = watch(said, {"db01": Scripted(STUCK)}, with_bmc(sim))
        assert run_until(watching, lambda: lan.name_of(fleet_part("db01")) in said.stored())
        sim.bmc.lan_ok()
        assert not run_until(watching, said.names, seconds=3.0)
    finally:
        sim.bmc.lan_ok()


def test_what_was_open_before_a_restart_is_not_told_twice(said, sim):
    run_until(watch(said, {"db01": Scripted(STUCK)}, with_bmc(sim)), lambda: said.names())
    later = Said()
    again = watch(later, {"db01": Scripted(STUCK)}, with_bmc(sim), state=said.stored())
    assert not run_until(again, later.names, seconds=2.0)
    run_until(watch(later, {"db01": Scripted(POLLED)}, with_bmc(sim), state=said.stored()), later.names)
    assert later.names() == ["kipmi.recovered"]
    assert later.triggers()[0]["key"] == f"{said.triggers()[0]['key']}:recovered"


def test_a_hung_host_delays_nobody_and_a_failing_one_is_logged_once(said, sim):
    refused = HostAccessError("SSH refused the user root", "db02")
    probers = {"db01": Scripted(STUCK), "db02": Scripted(refused), "db03": Scripted(None)}
    every = with_bmc(sim) | hosts("db02", "db03")
    assert run_until(watch(said, probers, every), lambda: said.names())
    assert [text for text in said.texts() if "db02" in text] == [refused.sentence]


@pytest.mark.parametrize("seed", range(5))
def test_a_host_that_cannot_be_reached_is_tried_ever_less_often_and_not_in_step_with_others(
    said, monkeypatch, seed
):
    pauses = []

    async def nap(seconds):
        pauses.append(seconds)
        if len(pauses) == 7:
            raise asyncio.CancelledError

    monkeypatch.setattr(kipmi.asyncio, "sleep", nap)
    refused = Scripted(HostAccessError("SSH refused the user root", "db01"))
    config, inventory = config_of(hosts("db01"), **FAST)
    watching = KipmiWatch(config, inventory, {}, said, rng=random.Random(seed), prober=lambda host: refused)
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(watching._attend(watching._known(inventory.host("db01"), None), 0.0))
    first, *after = pauses
    most = (5.0, 15.0, 60.0, 300.0, 300.0, 300.0)
    assert first == 0.0
    assert all(pause / 2 < waited < pause for pause, waited in zip(most, after, strict=True))
    assert len({waited / pause for pause, waited in zip(most, after, strict=True)}) == len(most)
    assert refused.closed


def test_a_slow_name_server_holds_up_no_host(said, sim, monkeypatch):
    answer = threading.Event()
    monkeypatch.setattr(addresses, "resolve", lambda name: answer.wait(3) and "127.0.0.1")
    names = [f"db0{n}" for n in range(1, 6)]
    every = {}
    for name in names:
        every |= hosts(name, bmc={"address": f"{name}-bmc", "port": sim.lan_port, "credential": "lab"})
    probers = {name: Scripted(POLLED) for name in names}
    watching = watch(said, probers, every)

    async def running():
        task, gaps = asyncio.ensure_future(watching.run()), []
        for _ in range(20):
            before = time.monotonic()
            await asyncio.sleep(0.05)
            gaps.append(time.monotonic() - before)
        assert max(gaps) < 1
        assert all(watching._patients[name].lan == lan.LanSeen() for name in names)
        answer.set()
        deadline = time.monotonic() + 20
        while any(watching._patients[name].lan.alive_at is None for name in names):
            assert time.monotonic() < deadline and not task.done()
            await asyncio.sleep(0.02)
        task.cancel()
        for each in watching._tasks.values():
            each.cancel()

    try:
        asyncio.run(running())
    finally:
        answer.set()


def test_repeated_until_acknowledged(said, sim):
    watching = watch(said, {"db01": Scripted(STUCK)}, with_bmc(sim), repeat_seconds=0.3)
    assert run_until(watching, lambda: len(said.names()) >= 3)
    keys = {payload["key"] for payload in said.triggers()}
    assert len(keys) == 1
    told = len(said.names())
    watching.acknowledge(frozenset(keys))
    assert not run_until(watching, lambda: len(said.names()) > told, seconds=1.5)


OVER = INCIDENT | {"host": "db01", "key": "db01:b00t:1:recovered", "recovered_at": 2.0}


def test_what_is_over_is_told_again_until_somebody_takes_it_up(said, sim):
    state = {"incident:db01": OVER}
    watching = watch(said, {"db01": Scripted(POLLED)}, with_bmc(sim), state, repeat_seconds=0.3)
    assert run_until(watching, lambda: len(said.names()) >= 3)
    assert set(said.names()) == {"kipmi.recovered"}
    assert {payload["key"] for payload in said.triggers()} == {OVER["key"]}
    told = len(said.names())
    watching.acknowledge(frozenset({OVER["key"]}))
    assert not run_until(watching, lambda: len(said.names()) > told, seconds=1.5)


@pytest.mark.parametrize(
    "seen", [{"kipmi": 99.0, "completed": 40}, {"counters": {}}], ids=["it spins", "there is no driver"]
)
def test_what_is_over_is_not_told_again_where_it_is_not_seen(said, sim, seen):
    host = Scripted(seen)
    settings = {"repeat_seconds": 0.3, "sustained_seconds": 1e6}
    watching = watch(said, {"db01": host}, with_bmc(sim), {"incident:db01": OVER}, **settings)
    if "counters" in seen:
        host.last, host.windows = replace(FIRST, counters={}), [IDLE]
    assert not run_until(watching, said.names, seconds=2.0)
    assert host.last.at > FIRST.at + 50


def test_another_hang_takes_the_place_of_what_is_over(said, sim):
    watching = watch(said, {"db01": Scripted(STUCK)}, with_bmc(sim), {"incident:db01": OVER})
    assert run_until(watching, said.names)
    assert said.names() == ["kipmi.high_cpu"]
    assert said.stored()["incident:db01"]["recovered_at"] is None
    assert watching._patients["db01"].recovered is None


def test_many_at_once_are_one_event(said):
    names = [f"h{n}" for n in range(6)]
    probers = {name: Scripted(STUCK) for name in names}
    config, inventory = config_of(hosts(*names), **FAST | {"poll_seconds": 1.5})
    config = replace(config, guardrails=replace(config.guardrails, booting_seconds=0.0))
    watching = KipmiWatch(config, inventory, {}, said, prober=lambda host: probers[host.name])
    assert run_until(watching, lambda: said.names())
    assert not run_until(watching, lambda: len(said.names()) > 1, seconds=3.0)
    (told,) = said.triggers("bmc.mass_outage")
    assert (told["label"], told["path"]) == ("fleet", "inband")
    assert len(told["hosts"]) >= 5  # those of the moment it became one
    assert any(line.get("mass", {}).get("until") for line in said.lines)


class TestAMassOutageAndARestart:
    """12 of 20 hosts were ill when the earlier watch ended. What is calm for 10 ms counts as over."""

    names = tuple(f"h{n:02}" for n in range(20))
    ill = names[:12]

    def watching(self, said, ill, well=IDLE, *, label="fleet", incidents=(), **settings):
        """:param ill: what is seen of those that were ill."""
        probers = {name: Scripted(ill if name in self.ill else well) for name in self.names}
        labelled = {
            name: {"labels": {"rack": "r1" if name in self.ill else "r2"}, **host}
            for name, host in hosts(*self.names).items()
        }
        outage = {"key": f"mass:{label}:1", "label": label, "since": 1.0, "hosts": list(self.ill)}
        state = {f"mass:{label}": outage}
        for name in incidents:
            kept = {"key": f"{name}:b00t:1", "host": name, "acknowledged": True}
            state[f"incident:{name}"] = INCIDENT | kept
        fast = {"mass_outage_window_seconds": 0.01, "sustained_seconds": 200.0}
        self.probers = probers
        return watch(said, probers, labelled, state, **fast | settings)

    def all_looked_at(self, times):
        return all(prober.last.at >= FIRST.at + 10 * times for prober in self.probers.values())

    @pytest.mark.parametrize("seen", [STUCK, LOADED], ids=["stuck", "loaded"])
    @pytest.mark.parametrize("incidents", [ill, ()], ids=["told", "held back"])
    def test_it_goes_on(self, said, seen, incidents):
        watching = self.watching(said, seen, incidents=incidents)
        assert run_until(watching, lambda: self.all_looked_at(25))
        assert (said.names(), said.deleted()) == ([], [])
        assert [line["mass"]["label"] for line in said.lines if "mass" in line] == ["fleet"]

    def test_it_goes_on_while_nobody_can_be_looked_at(self, said):
        refused = HostAccessError("SSH failed", "db01")
        watching = self.watching(said, refused, refused, incidents=self.ill)
        assert not run_until(watching, said.deleted, seconds=1.0)
        assert said.names() == []

    def test_it_ends_when_they_are_seen_to_be_well(self, said):
        assert run_until(self.watching(said, POLLED), said.deleted)
        assert said.deleted() == ["mass:fleet"]
        assert self.all_looked_at(1)

    def test_what_is_known_of_one_rack_makes_no_outage_of_the_fleet(self, said):
        """Before anybody has been looked at, that rack is all there is."""
        watching = self.watching(said, None, None, label="rack=r1", incidents=self.ill)
        assert not run_until(watching, said.deleted, seconds=0.5)
        assert said.names() == []


def test_a_healthy_host_says_nothing(said, sim):
    host = Scripted(POLLED, IDLE)
    run_until(watch(said, {"db01": host}, with_bmc(sim)), lambda: host.last.at > FIRST.at + 60, seconds=5)
    assert said.names() == []


def test_a_fault_of_ours_leaves_no_host_unwatched(said, sim):
    host = Scripted(POLLED, ZeroDivisionError("ours"), STUCK)
    assert run_until(watch(said, {"db01": host}, with_bmc(sim)), lambda: said.names())
    assert [text for text in said.texts() if "ours" in text]


def test_an_open_incident_survives_a_fault_of_ours(said, sim):
    host = Scripted(*[STUCK] * 8, ZeroDivisionError("ours"), STUCK)
    watching = watch(said, {"db01": host}, with_bmc(sim))
    assert run_until(watching, lambda: [text for text in said.texts() if "ours" in text])
    assert not run_until(watching, lambda: len(said.names()) > 1, seconds=1.5)


def test_what_was_known_is_kept_for_a_restart_a_document_for_each_part_of_the_fleet(said):
    names = [f"h{n}" for n in range(100)]
    probers = {name: Scripted(IDLE) for name in [*names, "new"]}
    watching = watch(said, probers, hosts(*names))
    watching.share(None, {})
    asyncio.run(briefly(watching))
    for name in names:
        watching._learnt(watching._patients[name])
    watching._keep(1e9)
    assert len(said.stored()) == len(set(map(fleet_part, names)))
    again = watch(Said(), probers, hosts(*names, "new"), state=said.stored())
    asyncio.run(briefly(again))
    assert {name for name, patient in again._patients.items() if patient.ask_at is None} == set(names)


def test_hosts_that_another_sensor_watches_now_are_let_go_and_come_back_as_they_were(said):
    names = [f"h{n}" for n in range(20)]
    probers = {name: Scripted(IDLE) for name in names}
    watching = watch(said, probers, hosts(*names))

    async def turns():
        watching._reconcile()
        assert set(watching._tasks) == set(names)
        watching.share(frozenset({fleet_part("h0")}), {})
        watching._reconcile()
        assert {fleet_part(name) for name in watching._tasks} == {fleet_part("h0")}
        watching.share(None, {"incident:h1": INCIDENT})
        watching._reconcile()
        assert set(watching._tasks) == set(names)
        assert watching._patients["h1"].illness.incident.key == INCIDENT["key"]

    asyncio.run(turns())


def test_a_host_whose_settings_change_keeps_its_incident(said):
    watching = watch(said, {"h1": Scripted(IDLE)}, hosts("h1"), state={"incident:h1": INCIDENT})

    async def turns():
        watching._reconcile()
        patient = watching._patients["h1"]
        patient.host = replace(
            patient.host, address="127.0.0.9"
        )  # as if the inventory said something else now
        watching._revision = -1
        watching._reconcile()
        assert watching._patients["h1"] is not patient
        assert watching._patients["h1"].illness == patient.illness

    asyncio.run(turns())


async def briefly(watching):
    """One reconciliation, and the looks end with the event loop."""
    watching._reconcile()


def test_more_ssh_hosts_than_descriptors_are_told(said, monkeypatch):
    monkeypatch.setattr(kipmi.resource, "getrlimit", lambda which: (150, 150))
    names = [f"h{n}" for n in range(60)]
    probers = {name: Scripted(IDLE) for name in names}
    asyncio.run(briefly(watch(said, probers, hosts(*names[:50]))))
    assert said.texts() == []
    asyncio.run(briefly(watch(said, probers, hosts(*names))))
    assert said.texts() == [
        "60 SSH hosts are more than 150 open files allow; raise the service's LimitNOFILE"
    ]
