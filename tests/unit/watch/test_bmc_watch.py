"""The bmc watch against real (simulated) BMCs on the LAN."""

import asyncio
import json
import time
from dataclasses import replace
from functools import partial

import pytest

from bmc_healer.bmc.ping import sweep
from bmc_healer.state.keys import fleet_part
from bmc_healer.watch import bmc, lan, payload
from bmc_healer.watch.bmc import BmcWatch
from bmc_healer.watch.confirm import Confirm
from bmc_healer.watch.lan import LanSeen
from bmc_healer.watch.mass import Outage
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
    assert "incident:db01" not in said.stored()
    kept = [line["store"][LAN]["db01"] for line in said.lines if LAN in line.get("store", {})]
    assert [[time is not None for time in seen] for seen in kept] == [
        [True, False, False],
        [True, True, True],
        [True, True, True],
    ]
    (alive, dark, since), (again, *same) = kept[1:]
    assert alive < since == dark < again and same[1] == since
    assert not any("remember" in line for line in said.lines)


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
    assert others and set(watching._patients) == set(hosts) - others
    watching.share(None, known("h3"))
    watching._reconcile()
    assert {name for name, patient in watching._patients.items() if patient.answered} == {"h3"}
    assert set(watching._patients) == set(hosts)


def test_a_mass_outage_of_a_large_fleet_is_a_small_trigger():
    outage = Outage("mass:fleet:1", "fleet", 1.0, tuple(f"h{n:05}" for n in range(10_000)))
    told = payload.mass_outage(outage, "oob", 10_000, 1.0)
    assert (told["silent"], told["total"]) == (10_000, 10_000)
    assert told["hosts"][0] == "h00000" and len(json.dumps(told)) < 1000


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
