"""Before the out-of-band reset: the identity of a BMC whose host fell silent, and the second way in."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from bmc_healer.bmc.facts import BmcFacts, Login, ResetAnswer
from bmc_healer.verbs import reset_bmc_oob
from bmc_healer.verbs.begin_heal import begin_heal
from bmc_healer.verbs.reset_bmc_oob import proven_before
from bmc_healer.verbs.step import Step
from tests.unit.made import bmc
from tests.unit.verbs import SILENT_PORT, config, first_looks_ended, host, runtime

GUID = bmc().guid
PROVEN = {"proven": True, "how": "smbios", "sentence": "GUID and UUID agree."}


@pytest.mark.parametrize(
    ("identity", "guid", "now", "proven"),
    [
        (PROVEN, GUID, bmc(), True),
        (PROVEN, GUID, replace(bmc(), guid="00" * 16), False),  # another BMC answers there now
        (PROVEN, GUID, replace(bmc(), guid=None), False),
        (PROVEN, None, replace(bmc(), guid=None), False),
        (PROVEN, GUID, None, False),
        (PROVEN | {"proven": False}, GUID, bmc(), False),
        (None, GUID, bmc(), False),
    ],
)
def test_what_the_heal_proved_holds_for_the_same_guid(identity, guid, now, proven):
    incident = {"evidence": {"identity": identity}, "baseline": {"guid": guid}}
    found = proven_before(incident, now)
    assert (found is not None and found.proven) is proven


def test_an_incident_that_has_proven_nothing_yet():
    assert proven_before({}, bmc()) is None


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        (bmc(), ""),
        (replace(bmc(), guid="00" * 16), "not proven to be the same BMC"),
        (replace(bmc(), guid=None), "not proven to be the same BMC"),
        (replace(bmc(), device_available=False), "updates or starts"),  # since the look over lanplus
        (BmcFacts(0.0, "x", alive=True, login=Login.REFUSED, error="It refuses."), "No session. It refuses."),
    ],
)
def test_redfish_is_the_second_way_only_to_the_same_bmc_that_is_not_under_update(monkeypatch, seen, said):
    rt = SimpleNamespace(
        config=SimpleNamespace(ladder=SimpleNamespace(session_limit=1.0)), login=lambda host: None
    )
    step, deed = SimpleNamespace(rt=rt, host=None), SimpleNamespace(may_send=None)
    reset = ResetAnswer(True, 0, via="redfish")
    monkeypatch.setattr(reset_bmc_oob.redfish, "look", lambda *_, **__: seen)
    monkeypatch.setattr(reset_bmc_oob.redfish, "manager_reset", lambda *_, **__: reset)
    not_sent = ResetAnswer(False, None, error="No session.")
    answer = reset_bmc_oob._by_redfish(step, None, bmc(), not_sent, deed)
    assert (answer is reset) is (said == "")
    assert said in answer.error
    assert (answer.login is Login.REFUSED) is (seen.login is Login.REFUSED)


def test_a_login_that_redfish_refuses_in_place_of_a_dead_session_is_recorded(monkeypatch):
    bmc_settings = {**host()["bmc"], "redfish": {"url": "https://127.0.23.1"}}
    rt = runtime(config({"db01": host(bmc=bmc_settings)}))
    incident = rt.state.incident(begin_heal(rt, {"host": "db01"})["incident"])
    first_looks_ended()
    due = {"plan": ["oob"], "next": {"task": "reset_out_of_band", "index": 0}}
    rt.state.save_incident({**incident, **due})
    no_session = ResetAnswer(False, None, error="No session.", login=Login.FAILED)
    refused = BmcFacts(0.0, "x", alive=True, login=Login.REFUSED, error="Redfish refuses the login.")
    monkeypatch.setattr(reset_bmc_oob.session, "cold_reset", lambda *_, **__: no_session)
    monkeypatch.setattr(reset_bmc_oob.redfish, "look", lambda *_, **__: refused)
    with Step(rt, "reset_out_of_band", {"host": "db01", "incident": incident["id"]}) as step:
        outcome = reset_bmc_oob._reset(step, step.host.bmc, "127.0.23.1", bmc())
    assert outcome.state == "failed" and "Redfish refuses the login" in outcome.sentence
    assert [bad.bmc_address for bad in rt.state.fleet().bad_logins] == [f"127.0.23.1:{SILENT_PORT}"]
