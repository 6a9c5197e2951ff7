"""Gates as actions: how long they wait for what they must see."""

from __future__ import annotations

from bmc_healer.bmc.facts import BmcFacts, Login
from bmc_healer.verbs.begin_heal import begin_heal
from bmc_healer.verbs.verify import verify
from tests.unit.clock import Clock
from tests.unit.state.fake_datastore import FakeDatastore
from tests.unit.verbs import VerbRuntime, config, host


class Answering(VerbRuntime):
    """The BMC answers, whenever it is looked at."""

    def look_at_bmc(self, host, pinned, *, session=True):
        return BmcFacts(self.clock(), pinned or "", alive=True, login=Login.OK)


def test_health_is_not_waited_for_where_there_is_no_way_onto_the_host():
    clock = Clock()
    settings = config({"db01": host(1, transport="none")})
    rt = Answering(settings, FakeDatastore(), environ={}, clock=clock, sleep=clock.sleep)
    begun = begin_heal(rt, {"host": "db01", "force": True})
    incident = rt.state.incident(begun["incident"])
    proven = {"step": "gate_out_of_band_reset", "verdict": "passed", "proof": True}
    due = {"plan": ["oob", "load"], "next": {"task": "gate_health", "index": 1}, "baseline": {}}
    rt.state.save_incident({**incident, **due, "steps": [proven]})
    before = clock()
    told = verify(rt, {"host": "db01", "incident": begun["incident"], "gate": "gate_health"})
    assert (told["verdict"], clock()) == ("failed", before)
    assert "could not be checked" in told["sentence"]
