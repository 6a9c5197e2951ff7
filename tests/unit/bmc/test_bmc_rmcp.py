import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bmc_healer.bmc import answers, rmcp
from bmc_healer.errors import BmcError

# Recorded from ipmi_sim 2.0.33: its answer to rqSeq 5.
ALIVE = bytes.fromhex("0600ff0700000000000000000010811c6320143800011704000000000078")
GUID = "cc08527360875569b8e3a501f15d11ff"


def reply(sequence: int, command: int, code: int, data: bytes, netfn: int = 7) -> bytes:
    head = bytes((0x81, netfn << 2))
    body = bytes((0x20, sequence << 2, command, code)) + data
    message = head + bytes((-sum(head) & 255,)) + body + bytes((-sum(body) & 255,))
    return bytes.fromhex("0600ff07" + "00" * 9) + bytes((len(message),)) + message


def test_the_request_is_the_one_of_the_specification():
    assert rmcp.auth_capabilities_request(5).hex() == "0600ff07" + "00" * 9 + "09" + "2018c88114380e0421"


@pytest.mark.parametrize("sequence", [-1, 64])
def test_rqseq_has_six_bits(sequence):
    with pytest.raises(ValueError):
        rmcp.auth_capabilities_request(sequence)


def test_a_recorded_answer_of_ipmi_sim():
    assert rmcp.parse_alive(ALIVE) == 5


@pytest.mark.parametrize("code", [0x00, 0xC0, 0xCC, 0xFF])
def test_any_completion_code_proves_life(code):
    assert rmcp.parse_alive(reply(9, 0x38, code, b"")) == 9


def test_guid_in_the_order_of_the_wire():
    assert rmcp.parse_guid(reply(3, 0x37, 0, bytes.fromhex(GUID)), 3) == GUID


def test_the_legacy_pad_behind_the_message_is_allowed():
    assert rmcp.parse_alive(reply(9, 0x38, 0, bytes(8)) + b"\0") == 9


@pytest.mark.parametrize(
    ("packet", "why"),
    [
        (b"", "no sessionless"),
        (b"\x06\x00\xff\x06" + bytes(30), "no sessionless"),
        (b"\x07" + ALIVE[1:], "no sessionless"),
        (ALIVE[:-1], "cut short"),
        (ALIVE[:13] + b"\x03" + ALIVE[14:], "cut short"),
        (ALIVE[:-1] + b"\x79", "checksum"),
        (ALIVE[:16] + b"\x64" + ALIVE[17:], "checksum"),
        (reply(9, 0x38, 0, b"", netfn=6), "somebody else"),
        (reply(9, 0x37, 0, bytes(16)), "another question"),
    ],
)
def test_what_is_no_answer(packet, why):
    with pytest.raises(BmcError, match=why):
        rmcp.parse_alive(packet)


@pytest.mark.parametrize(
    "packet", [reply(4, 0x37, 0, bytes(16)), reply(3, 0x37, 0xC1, b""), reply(3, 0x37, 0, bytes(15))]
)
def test_what_is_no_guid(packet):
    with pytest.raises(BmcError):
        rmcp.parse_guid(packet, 3)


@given(st.binary(max_size=80) | st.binary(max_size=60).map(lambda tail: ALIVE[:14] + tail))
def test_garbage_is_an_error_and_nothing_else(packet):
    for parse in (rmcp.parse, rmcp.parse_alive, lambda packet: rmcp.parse_guid(packet, 5)):
        with contextlib.suppress(BmcError):
            parse(packet)


@given(st.integers(0, 63), st.integers(0, 255), st.binary(max_size=40))
def test_what_a_bmc_says_is_understood(sequence, code, data):
    got = rmcp.parse(reply(sequence, 0x38, code, data))
    assert (got.sequence, got.netfn, got.command, got.code, got.data) == (sequence, 7, 0x38, code, data)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ("200309080289f912000f0000", {"firmware": "9.08", "device_available": True}),
        ("200182410289f912000f0000", {"firmware": "2.41", "device_available": False}),
    ],
)
def test_device_id(data, told):
    assert answers.device_id(bytes.fromhex(data)) == told


@pytest.mark.parametrize(
    ("understand", "data", "told"),
    [
        (answers.chassis_status, "210040", {"power_on": True}),
        (answers.chassis_status, "200040", {"power_on": False}),
        (answers.watchdog_timer, "44" + "00" * 7, {"watchdog_running": True}),
        (answers.watchdog_timer, "84" + "00" * 7, {"watchdog_running": False}),
        (answers.system_guid, GUID, {"guid": GUID}),
    ],
)
def test_answers(understand, data, told):
    assert understand(bytes.fromhex(data)) == told


@given(st.binary(max_size=40))
def test_garbage_in_answers_is_an_error_and_nothing_else(data):
    for understand in (
        answers.device_id,
        answers.system_guid,
        answers.chassis_status,
        answers.watchdog_timer,
    ):
        with contextlib.suppress(BmcError):
            understand(data)
