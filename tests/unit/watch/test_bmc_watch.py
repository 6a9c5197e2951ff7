"""The bmc watch against real (simulated) BMCs on the LAN."""

import asyncio
import json
import random
import threading
import time
from dataclasses import replace
from functools import partial

import pytest

from bmc_healer.bmc import addresses
from bmc_healer.bmc.facts import BmcFacts
from bmc_healer.bmc.ping import SweepResult, sweep
from bmc_healer.state.keys import fleet_part
from bmc_healer.watch import bmc, confirm, lan, payload
from bmc_healer.watch.bmc import BmcWatch
from bmc_healer.watch.confirm import AT_ONCE, Confirm
from bmc_healer.watch.hysteresis import Incident
from bmc_healer.watch.lan import LanSeen
from bmc_healer.watch.mass import Outage
from bmc_healer.watch.recovery import AGAIN_AT_ONCE, over
from lab import BmcSim

from .collect import Said, config_of, run_until

LAN = f"lan:{fleet_part('db01')}"
FAST = {"bmc_poll_seconds": 0.2, "bmc_failures": 2, "recover_polls": 2}


@pytest.fixture(scope="module")
def sim():
    with BmcSim() as sim:
        yield sim


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """A simulator on this machine answers in milliseconds: nobody has to wait a second for each attempt."""
    monkeypatch.setattr(bmc, "sweep", partial(sweep, timeout=0.2))


@pytest.fixture
def said():
    return Said()


def host_of(port, **more):
    bmc = {"address": "127.0.0.1", "port": port, "credential": "lab"}
    return {"transport": "ssh", "address": "127.0.0.1", "bmc": bmc | more}


def known(*hosts):
    """What an earlier watch kept of hosts whose BMC has answered."""
    return lan.documents(set(map(fleet_part, hosts)), [(host, LanSeen(alive_at=1.0)) for host in hosts])


def config_for(hosts, **settings):
    config, inventory = config_of(hosts, **FAST | settings)
    return replace(config, ladder=replace(config.ladder, session_limit=3.0)), inventory


def watch(said, hosts, state=None, secrets=None, stopped=(), **settings):
    config, inventory = config_for(hosts, **settings)
    confirm = Confirm(config, secrets or {}, stopped, said)
    return BmcWatch(config, inventory, state or {}, confirm, said)


def test_silence_is_told_once_and_its_end_too(said, sim):
    watching = watch(said, {"DB01": host_of(sim.lan_port)})
    assert run_until(watching, lambda: LAN in said.stored())
    assert list(said.stored()[LAN]) == ["db01"]
    sim.bmc.lan_dead()
    try:
        assert run_until(watching, said.names, seconds=30)
    finally:
        sim.bmc.lan_ok()
    (told,) = said.triggers("bmc.unresponsive")
    assert (told["host"], told["path"], told["signature"]) == ("db01", "oob", "silent_lan")
    assert told["failures"] >= 2
    assert told["last_seen"]
    assert "incident:db01" in said.stored()
    assert run_until(watching, lambda: "bmc.recovered" in said.names())
    assert said.names() == ["bmc.unresponsive", "bmc.recovered"]
    assert said.triggers("bmc.recovered")[0]["key"] == f"{told['key']}:recovered"
    assert said.stored()["incident:db01"]["recovered_at"], "kept until somebody takes it up"
    kept = [line["store"][LAN]["db01"] for line in said.lines if LAN in line.get("store", {})]
    assert [[time is not None for time in seen] for seen in kept] == [
        [True, False, False],
        [True, True, True],
        [True, True, True],
    ]
    (alive, dark, since), (again, *same) = kept[1:]
    assert alive < since == dark < again and same[1] == since
    assert not any("remember" in line for line in said.lines)


OPEN = Incident("db01:oob:1", "db01", "bmc.unresponsive", "silent_lan", True, 1.0, 1.0)
OVER = over(OPEN, 2.0)


def back(said, sim, **settings):
    """A watch whose BMC has come back, which an earlier watch told once."""
    state = known("db01") | {"incident:db01": OVER.document()}
    return watch(said, {"db01": host_of(sim.lan_port)}, state, **settings)


def test_that_a_bmc_is_back_is_told_again_until_somebody_takes_it_up(said, sim):
    watching = back(said, sim, repeat_seconds=0.3)
    assert run_until(watching, lambda: len(said.names()) >= 3)
    assert {(payload["key"], payload["seconds"]) for payload in said.triggers("bmc.recovered")} == {
        (OVER.key, 1.0)
    }
    assert said.stored()["incident:db01"]["told_at"] > OVER.told_at, (
        "a restart does not tell it at once again"
    )
    told = len(said.names())
    watching.acknowledge(frozenset({OPEN.key}))
    assert run_until(watching, lambda: len(said.names()) > told)
    told = len(said.names())
    watching.acknowledge(frozenset({OVER.key}))
    assert not run_until(watching, lambda: len(said.names()) > told, seconds=1.5)


def test_a_bmc_that_falls_silent_again_is_not_told_to_be_back(said, sim):
    sim.bmc.lan_dead()
    try:
        assert run_until(back(said, sim), said.names, seconds=30)
    finally:
        sim.bmc.lan_ok()
    assert said.names() == ["bmc.unresponsive"]
    assert said.stored()["incident:db01"]["recovered_at"] is None


def test_that_a_bmc_is_back_is_not_told_again_in_a_mass_outage(said, sim):
    watching = back(said, sim)
    watching._outages.hold = lambda labels: True
    assert not run_until(watching, said.names, seconds=1.5)
    del watching._outages.hold
    assert run_until(watching, said.names)


def test_thousands_that_are_back_are_told_again_in_turns(said, monkeypatch):
    """After a long failure in which they fell silent one after the other."""
    names = [f"h{n}" for n in range(1000)]
    state = {
        f"incident:{name}": replace(OVER, host=name, key=f"{name}:recovered").document() for name in names
    }
    rounds = Rounds()
    rounds.lost = 0
    monkeypatch.setattr(bmc, "sweep", rounds)
    hosts = {name: host_of(1000 + number) for number, name in enumerate(names)}
    watching = watch(said, hosts, known(*names) | state, repeat_seconds=3600)
    assert run_until(watching, lambda: len(rounds.began) > 3)
    told = [payload["host"] for payload in said.triggers("bmc.recovered")]
    assert AGAIN_AT_ONCE <= len(told) == len(set(told)) <= AGAIN_AT_ONCE * len(rounds.began)


def test_who_never_answered_is_no_news(said, sim):
    watching = watch(said, {"db01": host_of(sim.lan_port), "db02": host_of(9)})
    rounds = time.monotonic() + 4
    run_until(watching, lambda: said.names() or time.monotonic() > rounds, seconds=20)
    assert said.names() == []


def test_who_answered_before_a_restart_is_known(said):
    watching = watch(said, {"db02": host_of(9)}, state=known("db02"))
    assert run_until(watching, said.names, seconds=30)
    assert said.triggers()[0]["last_seen"] == "1970-01-01T00:00:01Z"


def test_many_at_once_are_one_event_and_no_single_ones(said):
    names = [f"h{n}" for n in range(6)]
    watching = watch(said, {name: host_of(9 + n) for n, name in enumerate(names)}, state=known(*names))
    assert run_until(watching, said.names, seconds=30)
    assert not run_until(watching, lambda: len(said.names()) > 1, seconds=4)
    (told,) = said.triggers("bmc.mass_outage")
    assert (told["label"], told["total"], told["path"]) == ("fleet", 6, "oob")


def test_a_mass_outage_goes_on_after_a_restart_and_is_not_told_again(said):
    hosts = {f"h{n}": host_of(9 + n) for n in range(6)}
    assert run_until(watch(said, hosts, state=known(*hosts)), said.names, seconds=30)
    again = Said()
    watching = watch(again, hosts, state=known(*hosts) | said.stored())
    assert not run_until(watching, lambda: again.names() or "mass:fleet" in again.deleted(), seconds=5)
    assert [line["mass"]["label"] for line in again.lines if "mass" in line] == ["fleet"]


def test_what_was_learnt_is_kept_before_a_single_host_is_told(said):
    alone = watch(said, {"db02": host_of(9)}, state=known("db02"))
    assert run_until(alone, said.names, seconds=30)
    kinds = [next(iter(line)) for line in said.lines]
    assert f"lan:{fleet_part('db02')}" in said.lines[0]["store"] and kinds[-1] == "trigger"


def test_its_share_of_the_fleet_is_swept_and_nothing_else(said):
    hosts = {f"h{n}": host_of(9 + n) for n in range(4)}
    watching = watch(said, hosts)
    watching.share(frozenset({fleet_part("h0")}), {})
    watching._reconcile()
    others = {name for name in hosts if fleet_part(name) != fleet_part("h0")}
    assert others and {name for name, _ in watching._patients.astir()} == set(hosts) - others
    watching.share(None, known("h3"))
    watching._reconcile()
    assert [name for name, _ in watching._patients.answered()] == ["h3"]
    assert {name for name, _ in watching._patients.astir()} == set(hosts)


def test_a_mass_outage_of_a_large_fleet_is_a_small_trigger():
    outage = Outage("mass:fleet:1", "fleet", 1.0, tuple(f"h{n:05}" for n in range(10_000)))
    told = payload.mass_outage(outage, "oob", 10_000, 1.0)
    assert (told["silent"], told["total"]) == (10_000, 10_000)
    assert told["hosts"][0] == "h00000" and len(json.dumps(told)) < 1000


class Rounds:
    """Stands in for the sweep and counts the rounds; all answer, after some rounds that nobody answers."""

    def __init__(self, really=None):
        self.began = []
        self.really = really
        self.lost = 2  # rounds

    def __call__(self, targets, **how):
        targets = frozenset(targets)
        if not how:  # as a round calls it
            self.began.append(time.monotonic())
            if len(self.began) <= self.lost:
                return SweepResult(frozenset(), targets)
        return self.really(targets, **how) if self.really else SweepResult(targets, frozenset())


def test_many_silent_suspects_hold_up_no_sweep(said, monkeypatch):
    hosts = {f"h{n}": host_of(1000 + n) for n in range(60)}
    rounds = Rounds(really=partial(sweep, timeout=0.2))
    monkeypatch.setattr(bmc, "sweep", rounds)
    watching = watch(said, hosts, state=known(*hosts), mass_outage_hosts=100)
    assert run_until(watching, lambda: len(rounds.began) > 3 and len(said.names()) == 60, seconds=40)
    assert rounds.began[2] - rounds.began[1] < 10
    told = said.triggers("bmc.unresponsive")
    assert {payload["host"] for payload in told} == set(hosts)
    assert {payload["path"] for payload in told} == {"oob"}
    assert "127.0.0.1:1000: the BMC does not answer on the LAN." in {payload["error"] for payload in told}


class Sessions:
    """Stands in for `look`: sessions that last until they may end."""

    def __init__(self, alive):
        self.alive = alive
        self.end = threading.Event()
        self.open = self.most = self.all = 0
        self.counting = threading.Lock()

    def __call__(self, address, port, login, *, limit):
        with self.counting:
            self.open, self.all = self.open + 1, self.all + 1
            self.most = max(self.most, self.open)
        assert self.end.wait(30)
        with self.counting:
            self.open -= 1
        return BmcFacts(time.time(), address, alive=self.alive, error="" if self.alive else "silent again")


@pytest.fixture
def flapping(said, monkeypatch):
    """BMCs that miss sweeps, but answer the ping after it; and sessions with them that last."""

    def start(alive, count=60):
        hosts = {f"h{n}": host_of(1000 + n) for n in range(count)}
        rounds, sessions = Rounds(), Sessions(alive)
        monkeypatch.setattr(bmc, "sweep", rounds)
        monkeypatch.setattr(confirm, "look", sessions)
        return watch(said, hosts, state=known(*hosts), mass_outage_hosts=100), rounds, sessions

    return start


def test_sessions_with_suspects_are_few_at_once_and_hold_up_no_sweep(said, flapping):
    watching, rounds, sessions = flapping(alive=True)
    rounds.lost = 1000
    try:
        assert run_until(watching, lambda: sessions.open == AT_ONCE and len(rounds.began) > 5)
        assert (sessions.most, sessions.all, said.names()) == (AT_ONCE, AT_ONCE, [])
    finally:
        sessions.end.set()


def test_who_answers_a_sweep_while_a_session_with_it_lasts_is_no_suspect_any_more(said, flapping):
    watching, rounds, sessions = flapping(alive=False)

    def over():
        if len(rounds.began) > 4:
            sessions.end.set()
        return sessions.end.is_set() and not sessions.open and len(rounds.began) > 6

    assert run_until(watching, over)
    assert sessions.all == AT_ONCE and said.names() == []


def test_who_is_silent_in_its_session_too_is_told(said, flapping):
    watching, rounds, sessions = flapping(alive=False)
    rounds.lost = 1000
    sessions.end.set()
    assert run_until(watching, lambda: len(said.names()) == 60)
    assert {payload["error"] for payload in said.triggers("bmc.unresponsive")} == {"silent again"}
    assert sessions.most <= AT_ONCE


def test_the_end_of_a_silence_is_kept_when_only_a_suspects_session_saw_it(said, flapping):
    watching, _, sessions = flapping(alive=True, count=1)
    sessions.end.set()
    name = lan.name_of(fleet_part("h0"))
    assert run_until(
        watching, lambda: sessions.all and len([1 for s in said.lines if name in s["store"]]) > 1
    )
    first, *_, last = [lan.of_host(line["store"], "h0") for line in said.lines]
    assert first.dark_now and not last.dark_now


def named(sim, name="db02-bmc"):
    return host_of(sim.lan_port) | {"bmc": {"address": name, "port": sim.lan_port, "credential": "lab"}}


def test_a_slow_name_server_holds_up_no_sweep(said, sim, monkeypatch):
    answer, sweeps = threading.Event(), []
    monkeypatch.setattr(addresses, "resolve", lambda name: answer.wait(30) and "127.0.0.1")
    monkeypatch.setattr(bmc, "NAMES_SECONDS", 0.1)
    monkeypatch.setattr(bmc, "sweep", lambda targets: sweeps.append(targets) or sweep(targets, timeout=0.2))
    watching = watch(
        said, {"db01": host_of(sim.lan_port)} | {f"n{n}": named(sim, f"n{n}") for n in range(20)}
    )
    try:
        assert run_until(watching, lambda: len(sweeps) > 3 and LAN in said.stored(), seconds=10)
        assert lan.of_host(said.stored(), "n0") is None
        answer.set()
        assert run_until(watching, lambda: lan.of_host(said.stored(), "n0"))
    finally:
        answer.set()


def test_the_first_sweep_waits_for_names_a_little(said, sim, monkeypatch):
    monkeypatch.setattr(addresses, "resolve", lambda name: time.sleep(0.2) or "127.0.0.1")
    sweeps = []
    monkeypatch.setattr(bmc, "sweep", lambda targets: sweeps.append(targets) or sweep(targets, timeout=0.2))
    assert run_until(watch(said, {"db02": named(sim)}, bmc_poll_seconds=60.0), lambda: sweeps)
    assert sweeps == [{("127.0.0.1", sim.lan_port)}]


def test_sweeps_of_many_sensors_do_not_stay_in_step(said, monkeypatch):
    pauses = []

    async def nap(seconds):
        pauses.append(seconds)
        if len(pauses) == 8:
            raise asyncio.CancelledError

    monkeypatch.setattr(bmc.asyncio, "sleep", nap)
    config, inventory = config_of({"db01": {"transport": "local"}}, bmc_poll_seconds=60.0)
    watching = BmcWatch(config, inventory, {}, Confirm(config, {}, (), said), said, rng=random.Random(3))
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(watching.run())
    assert all(53 < pause < 66 for pause in pauses)
    assert len({round(pause) for pause in pauses}) > 4 and max(pauses) - min(pauses) > 6


def test_a_suspect_that_lets_nobody_in_is_alive_and_its_credential_is_done_with(said, sim):
    config, inventory = config_of({"db01": host_of(sim.lan_port)}, **FAST)
    wrong = config.credentials["lab"].__class__("admin", password="wrong")
    config = config.__class__(**{**vars(config), "credentials": {"lab": wrong}})
    host = inventory.host("db01")
    logins = sim.bmc.status().logins

    async def twice():
        confirm = Confirm(config, {}, (), said)
        return [await confirm.ask(host, ("127.0.0.1", sim.lan_port)) for _ in range(3)]

    assert asyncio.run(twice()) == [None, None, None]
    assert said.lines == [{"bad_login": {"credential": "lab", "bmc": f"127.0.0.1:{sim.lan_port}"}}]
    assert sim.bmc.status().logins == logins + 1


def test_an_unreadable_secret_is_told_once_and_the_ping_decides(said):
    config, inventory = config_for({"db01": host_of(9)})
    kept = config.credentials["lab"].__class__("admin", password_key="bmc_lab")
    config = config.__class__(**{**vars(config), "credentials": {"lab": kept}})

    async def ask():
        return await Confirm(config, {}, (), said).ask(inventory.host("db01"), ("127.0.0.1", 9))

    assert "does not answer" in asyncio.run(ask())
    assert len([text for text in said.texts() if "bmc_lab" in text]) == 1
