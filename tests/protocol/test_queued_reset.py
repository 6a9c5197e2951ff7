"""An in-band reset that waits in the driver comes directly after the out-of-band reset: the gate sees it."""

import time

import pytest

from bmc_healer.verbs import verify
from bmc_healer.verbs.begin_heal import begin_heal
from bmc_healer.verbs.runtime import Runtime
from lab import BmcSim
from tests.unit.state.fake_datastore import FakeDatastore
from tests.unit.verbs import Engine, config, host


class Here(Runtime):
    """The real time; an engine whose clock is right."""

    def _executions(self):
        return Engine(time.time)


@pytest.fixture
def sim():
    with BmcSim(name="queued") as sim:
        yield sim


@pytest.fixture
def rt(sim, monkeypatch):
    """A heal whose in-band reset may still be queued, and whose out-of-band reset has been seen to end."""
    monkeypatch.setattr(verify, "QUEUE_WAIT", 6.0)
    bmc = {"address": "127.0.0.1", "port": sim.lan_port, "credential": "lab", "identity": "trust"}
    settings = config({"db01": host(transport="none", bmc=bmc)}, settle_seconds=0.1)
    settings["ladder"] = {"back_wait": 20, "steady_interval": 0.2}
    rt = Here(settings, FakeDatastore(), environ={})
    rt.ran = begin_heal(rt, {"host": "db01", "force": True})["incident"]
    with rt.state.deed(rt.ref({"host": "db01", "incident": rt.ran}), "inband", time.time() + 60) as deed:
        deed.may_send()  # and nobody hears what became of it: the intent stays open
    now = time.time()
    seen = {"accepted": True, "session_dead": True, "dark": [[now - 9, now - 1]], "back": True}
    gate = {"plan": ["oob"], "next": {"task": "gate_out_of_band_reset", "index": 0}, "baseline": {}}
    steps = [{"step": "reset_out_of_band", "verdict": "done", "evidence": seen}]
    rt.state.save_incident({**rt.state.incident(rt.ran), **gate, "steps": steps})
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
