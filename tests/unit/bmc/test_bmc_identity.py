import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bmc_healer.bmc.facts import BmcFacts
from bmc_healer.bmc.identity import machine, own_guid, prove, same_machine
from bmc_healer.host.facts import Dmi

HOST = uuid.UUID("4c4c4544-0042-3510-8052-b3c04f4b4e32")
OTHER = "7f3a1b2c-90de-4f10-a1b2-c3d4e5f60718"


def facts(guid):
    return BmcFacts(observed_at=0, address="10.1.0.5", alive=True, guid=guid)


WIRE = {
    "as it is (RFC 4122)": HOST.bytes,
    "first three fields swapped (SMBIOS)": HOST.bytes_le,
    "from back to front (IPMI)": HOST.bytes[::-1],
    "swapped, then from back to front": HOST.bytes_le[::-1],
}


@pytest.mark.parametrize("wire", WIRE.values(), ids=WIRE.keys())
@pytest.mark.parametrize(
    "shown", [str(HOST), str(HOST).upper(), str(uuid.UUID(bytes=HOST.bytes_le)), HOST.hex]
)
def test_every_byte_order_in_use(wire, shown):
    assert same_machine(wire.hex(), shown)


@pytest.mark.parametrize("wire", [OTHER.replace("-", ""), HOST.hex[:-1] + "3", HOST.hex[2:] + HOST.hex[:2]])
def test_another_machine(wire):
    assert not same_machine(wire, str(HOST))


@pytest.mark.parametrize(
    "shared",
    [
        "0" * 32,
        "f" * 32,
        "fe" * 16,
        "03000200-0400-0500-0006-000700080009",
        "00020003-0004-0005-0006-000700080009",
        "",
        None,
        "not a uuid",
        "12345678",
    ],
)
def test_a_guid_that_many_machines_have_proves_nothing(shared):
    assert not same_machine(shared, shared)
    assert not prove(facts(shared), Dmi(uuid=shared or ""), shared, None).proven


@given(st.binary(min_size=16, max_size=16), st.binary(min_size=16, max_size=16))
def test_two_machines_are_two(one, two):
    same = two in (one, one[::-1], uuid.UUID(bytes=one).bytes_le, uuid.UUID(bytes=one[::-1]).bytes_le)
    assert same or not same_machine(one.hex(), str(uuid.UUID(bytes=two)))


@given(st.text(max_size=40), st.text(max_size=40))
def test_any_text_is_taken(guid, serial):
    prove(facts(guid), Dmi(uuid=guid, serial=serial), guid, serial)


@pytest.mark.parametrize(
    ("guid", "dmi", "remembered", "serial", "how"),
    [
        (HOST.bytes_le.hex(), Dmi(uuid=str(HOST)), None, None, "guid"),
        (OTHER, Dmi(uuid=str(HOST)), OTHER, None, "remembered"),
        (OTHER, Dmi(uuid=str(HOST), serial="CZ3012ABCD"), None, "cz3012abcd ", "serial"),
        (None, Dmi(serial="CZ3012ABCD"), None, "CZ3012ABCD", "serial"),
        (OTHER, Dmi(uuid=str(HOST)), None, None, ""),
        (OTHER, Dmi(uuid=str(HOST)), str(HOST), None, ""),
        (None, Dmi(uuid=str(HOST)), str(HOST), None, ""),
        (OTHER, Dmi(), None, None, ""),
        (None, Dmi(serial="To Be Filled By O.E.M."), None, "To be filled by O.E.M.", ""),
        (None, Dmi(serial="Default string"), None, "Default string", ""),
        (None, Dmi(serial="0000000000"), None, "0000000000", ""),
        (None, Dmi(serial="1"), None, "1", ""),
        (None, Dmi(), None, None, ""),
    ],
)
def test_proof(guid, dmi, remembered, serial, how):
    identity = prove(facts(guid), dmi, remembered, serial)
    assert (identity.proven, identity.how) == (bool(how), how)
    assert "10.1.0.5" in identity.sentence


def test_a_mismatch_is_said_with_both_numbers():
    sentence = prove(facts(OTHER), Dmi(uuid=str(HOST)), None, None).sentence
    assert OTHER in sentence
    assert str(HOST) in sentence


UUID, SERIAL = f"uuid={HOST}", "serial=cz3012abcd"
BOTH = f"{UUID} {SERIAL}"


@pytest.mark.parametrize(
    ("dmi", "told"),
    [
        (Dmi(uuid=str(HOST).upper(), serial="CZ3012-ABCD "), BOTH),
        (Dmi(uuid=str(HOST), serial="To Be Filled By O.E.M."), UUID),
        (Dmi(uuid="03000200-0400-0500-0006-000700080009", serial="CZ3012ABCD"), SERIAL),
        (Dmi(), ""),
    ],
)
def test_what_tells_a_machine_from_others(dmi, told):
    assert machine(dmi) == told


@pytest.mark.parametrize(
    ("learnt_on", "runs_on", "holds"),
    [
        (BOTH, BOTH, True),
        (UUID, f"uuid={OTHER} {SERIAL}", False),
        (BOTH, f"uuid={OTHER}", False),
        (UUID, f"uuid={uuid.UUID(bytes=HOST.bytes_le)}", True),  # a kernel that shows it in the other order
        (SERIAL, f"uuid={OTHER} serial=cz3012wxyz", False),
        (SERIAL, BOTH, True),
        (UUID, SERIAL, True),  # nothing to compare
        ("", BOTH, True),  # remembered before the machine was
        (BOTH, "", True),
    ],
)
def test_a_remembered_guid_holds_on_the_machine_it_was_learnt_on(learnt_on, runs_on, holds):
    assert own_guid(OTHER, learnt_on, runs_on) == (OTHER if holds else None)
