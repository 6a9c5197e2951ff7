"""Whose dark period is it: the reset's, that of an in-band reset that waited in the driver, or nobody's."""

import time

import pytest
from misbehaving_bmc import Gap, MisbehavingBmc

from bmc_healer.bmc.facts import Login, ResetAnswer
from bmc_healer.bmc.lanwatch import LanWatch
from bmc_healer.verbs import reset_bmc_oob, verify
from bmc_healer.verbs.begin_heal import begin_heal
from lab import BmcSim
from tests.unit.state.fake_datastore import FakeDatastore
from tests.unit.verbs import Here, config, host


@pytest.fixture
def sim():
    with BmcSim(name="queued") as sim:
        yield sim


def healing(port):
    """A heal that was asked for by hand, of a host without a way in."""
    bmc = {"address": "127.0.0.1", "port": port, "credential": "lab", "identity": "trust"}
    settings = config({"db01": host(transport="none", bmc=bmc)}, settle_seconds=0.1)
    settings["ladder"] = {"dark_wait": 3, "back_wait": 20, "steady_interval": 0.2}
    rt = Here(settings, FakeDatastore(), environ={})
    rt.ran = begin_heal(rt, {"host": "db01", "force": True})["incident"]
    return rt


def at_the_gate(rt, *, darks=1):
    """Its in-band reset may still be queued, its out-of-band reset has been seen to end."""
    with rt.state.deed(rt.ref({"host": "db01", "incident": rt.ran}), "inband", time.time() + 60) as deed:
        deed.may_send()  # and nobody hears what became of it: the intent stays open
    now = time.time()
    dark = [[now - 9, now - 1]] * darks
    seen = {"accepted": True, "session_dead": True, "dark": dark, "back": True}
    gate = {"plan": ["oob"], "next": {"task": "gate_out_of_band_reset", "index": 0}, "baseline": {}}
    steps = [{"step": "reset_out_of_band", "verdict": "done", "evidence": seen}]
    rt.state.save_incident({**rt.state.incident(rt.ran), **gate, "steps": steps})


@pytest.fixture
def rt(sim, monkeypatch):
    monkeypatch.setattr(verify, "QUEUE_WAIT", 6.0)
    rt = healing(sim.lan_port)
    at_the_gate(rt)
    return rt


def through_the_gate(rt):
    told = verify.verify(rt, {"host": "db01", "incident": rt.ran, "gate": "gate_out_of_band_reset"})
    return told, rt.state.incident(rt.ran)["steps"][-1]["evidence"]["queued_in_band_reset"]


def test_one_that_begins_before_the_gate_looks_is_seen(sim, rt):
    sim.bmc.reboot(3)
    told, queued = through_the_gate(rt)
    assert (told["verdict"], queued) == ("passed", "seen"), told["sentence"]
    assert "two resets" in told["sentence"]
    assert rt.state.open_intents("db01") == ()


def test_one_that_does_not_come_stays_open(rt):
    told, queued = through_the_gate(rt)
    assert (told["verdict"], queued) == ("passed", "not seen"), told["sentence"]
    assert [intent.rung for intent in rt.state.open_intents("db01")] == ["inband"]


def test_the_first_one_is_not_taken_for_the_second(sim, monkeypatch):
    """The rung knew by the dead session that it had reset, before the LAN side went."""
    monkeypatch.setattr(verify, "QUEUE_WAIT", 6.0)
    rt = healing(sim.lan_port)
    at_the_gate(rt, darks=0)
    sim.bmc.reboot(3)
    told, queued = through_the_gate(rt)
    assert (told["verdict"], queued) == ("passed", "not seen"), told["sentence"]


def test_a_stall_is_no_second_one(monkeypatch):
    monkeypatch.setattr(verify, "QUEUE_WAIT", 8.0)
    monkeypatch.setattr(verify, "_session", lambda step: verify._silent(step))  # the mock gives none
    stall, steady = Gap(3.0, later=True), verify._steady

    def and_then_stalls(step, lan):
        answered = steady(step, lan)
        stall.begin()
        return answered

    monkeypatch.setattr(verify, "_steady", and_then_stalls)
    with MisbehavingBmc(stall) as bmc:
        rt = healing(bmc.port)
        at_the_gate(rt)
        _, queued = through_the_gate(rt)
    assert queued == "not seen"
    assert [intent.rung for intent in rt.state.open_intents("db01")] == ["inband"]


def test_what_was_dark_before_the_reset_was_sent_proves_nothing(sim, monkeypatch):
    """A mock of the session: no real one outlives a BMC that restarts between the login and the command."""
    rt, watches = healing(sim.lan_port), []

    class Kept(LanWatch):
        def __enter__(self):
            watches.append(self)
            return super().__enter__()

    def restarts_meanwhile(*_, may_send, **__):
        (lan,) = watches
        assert lan.wait_back(5)
        sim.bmc.reboot(2)
        assert lan.wait_dark(5)
        assert lan.wait_back(10)
        may_send()
        return ResetAnswer(True, 0, session_dead=False, login=Login.OK)

    monkeypatch.setattr(reset_bmc_oob, "LanWatch", Kept)
    monkeypatch.setattr(reset_bmc_oob.session, "cold_reset", restarts_meanwhile)
    due = {"plan": ["oob", "load"], "next": {"task": "reset_out_of_band", "index": 0}, "baseline": {}}
    rt.state.save_incident({**rt.state.incident(rt.ran), **due})
    told = reset_bmc_oob.reset_bmc_oob(rt, {"host": "db01", "incident": rt.ran})
    assert told["verdict"] == "done"
    assert rt.state.incident(rt.ran)["steps"][-1]["evidence"]["dark"] == []
