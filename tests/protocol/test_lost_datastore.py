"""The datastore is lost while a reset is under way: what came of it is said all the same."""

import pytest

from bmc_healer.errors import StateError
from bmc_healer.verbs.begin_heal import begin_heal
from bmc_healer.verbs.reset_bmc_oob import reset_bmc_oob
from lab import BmcSim
from tests.unit.state.fake_datastore import FakeDatastore
from tests.unit.verbs import Here, config, host


@pytest.fixture
def sim():
    with BmcSim(name="lost", reset_seconds=2) as sim:
        yield sim


def test_a_reset_whose_end_cannot_be_recorded(sim):
    bmc = {"address": "127.0.0.1", "port": sim.lan_port, "credential": "lab", "identity": "trust"}
    settings = config({"db01": host(transport="none", bmc=bmc)}, settle_seconds=0.1)
    settings["ladder"] = {"dark_wait": 8, "back_wait": 20, "steady_interval": 0.2}
    rt = Here(settings, FakeDatastore(), environ={})
    ran = begin_heal(rt, {"host": "db01", "force": True})["incident"]
    due = {"plan": ["oob", "load"], "next": {"task": "reset_out_of_band", "index": 0}, "baseline": {}}
    rt.state.save_incident({**rt.state.incident(ran), **due})

    def lose(operation):
        rt.datastore.down = sim.bmc.status().resets > 0

    rt.datastore.before = lose
    with pytest.raises(StateError) as error:
        reset_bmc_oob(rt, {"host": "db01", "incident": ran})
    said = (
        "The BMC acknowledged the cold reset (lanplus); only the gate can tell. This could not be recorded: "
    )
    assert error.value.sentence.startswith(said), error.value.sentence
    rt.datastore.before, rt.datastore.down = (lambda operation: None), False
    assert [intent.rung for intent in rt.state.open_intents("db01")] == ["oob"], "it may have happened"
    assert sim.bmc.status().resets == 1
