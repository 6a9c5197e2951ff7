"""Gates as actions: how long they wait for what they must see."""

from __future__ import annotations

import pytest

from bmc_healer.bmc.facts import BmcFacts, Login
from bmc_healer.errors import HostAccessError
from bmc_healer.verbs.begin_heal import begin_heal
from bmc_healer.verbs.verify import verify
from tests.unit.clock import Clock
from tests.unit.state.fake_datastore import FakeDatastore
from tests.unit.verbs import VerbRuntime, config, host


class Answering(VerbRuntime):
    """The BMC answers, whenever it is looked at."""

    def look_at_bmc(self, host, pinned, *, session=True):
        return BmcFacts(self.clock(), pinned or "", alive=True, login=Login.OK)


class Unreachable(Answering):
    """And there is no way onto the host just now."""

    def access(self, host):
        raise HostAccessError("no answer", host.name)


def before_its_last_gate(rt):
    """A heal whose out-of-band reset is proven; what `verify` takes."""
    incident = rt.state.incident(begin_heal(rt, {"host": "db01", "force": True})["incident"])
    proven = {"step": "gate_out_of_band_reset", "verdict": "passed", "proof": True}
    due = {"plan": ["oob", "load"], "next": {"task": "gate_health", "index": 1}, "baseline": {}}
    rt.state.save_incident({**incident, **due, "steps": [proven]})
    return {"host": "db01", "incident": incident["id"], "gate": "gate_health"}


def test_health_is_not_waited_for_where_there_is_no_way_onto_the_host():
    clock = Clock()
    settings = config({"db01": host(1, transport="none")})
    rt = Answering(settings, FakeDatastore(), environ={}, clock=clock, steady=clock, sleep=clock.sleep)
    due = before_its_last_gate(rt)
    before = clock()
    told = verify(rt, due)
    assert (told["verdict"], clock()) == ("failed", before)
    assert "could not be checked" in told["sentence"]


@pytest.mark.parametrize("jump", [-86400.0, 86400.0])
def test_a_clock_that_is_set_meanwhile_makes_no_wait_longer_or_shorter(jump):
    clock, steady = Clock(), Clock(0.0)
    rt = Unreachable(config(), FakeDatastore(), environ={}, clock=clock, steady=steady, sleep=clock.sleep)
    due = before_its_last_gate(rt)
    waited = rt.config.ladder.back_wait

    def sleep(seconds):
        clock.sleep(seconds if steady() else seconds + jump)
        steady.sleep(seconds)
        assert steady() < 2 * waited

    rt.sleep = sleep
    told = verify(rt, due)
    assert told["verdict"] == "failed"
    assert waited <= steady() <= waited + rt.config.ladder.steady_interval
    assert told["seconds"] == steady()
