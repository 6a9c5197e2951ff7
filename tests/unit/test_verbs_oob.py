"""Before the out-of-band reset: the identity of a BMC whose host fell silent, and the second way in."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from bmc_healer.bmc.facts import ResetAnswer
from bmc_healer.verbs import reset_bmc_oob
from bmc_healer.verbs.reset_bmc_oob import proven_before
from tests.unit.made import bmc

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
