"""The identity of a BMC whose host fell silent after the heal had begun."""

from dataclasses import replace

import pytest

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
