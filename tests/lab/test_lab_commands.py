"""The commands that are answered in ipmi_sim's place."""

import pytest

from lab.bmc import commands
from lab.bmc.commands import Personality

WHO = Personality(guid="00112233445566778899aabbccddeeff")


def test_device_id_shows_firmware_and_a_running_update():
    healthy = commands.answer(6, 1, b"", WHO).data
    assert (healthy[0], healthy[3], healthy[4]) == (0, 9, 0x08)
    updating = commands.answer(6, 1, b"", Personality(WHO.guid, "10.12", device_available=False)).data
    assert (updating[3], updating[4]) == (0x80 | 10, 0x12)


@pytest.mark.parametrize("version", ["", "9", "9.100", "128.0", "a.1", "9.-1"])
def test_a_firmware_version_that_get_device_id_cannot_carry(version):
    with pytest.raises(ValueError, match="firmware version"):
        commands.firmware_bytes(version)


@pytest.mark.parametrize(("number", "kind"), [(2, "cold"), (3, "warm")])
def test_resets_are_acknowledged_and_reported(number, kind):
    answer = commands.answer(6, number, b"", WHO)
    assert (answer.data, answer.reset) == (b"\x00", kind)


def test_the_guid_is_the_same_bytes():
    assert commands.answer(6, 0x37, b"", WHO).data == b"\x00" + bytes.fromhex(WHO.guid)


def test_the_watchdog_runs_from_its_reset_until_it_is_set_without_the_dont_stop_bit():
    def running(who):
        return bool(commands.answer(6, 0x25, b"", who).data[1] & commands.WATCHDOG_RUNNING)

    assert not running(WHO)
    setting = bytes([0x04, 0x01, 0, 0, 0x10, 0x27])
    armed = commands.answer(6, 0x22, b"", commands.answer(6, 0x24, setting, WHO).personality).personality
    assert running(armed)
    assert commands.answer(6, 0x25, b"", armed).data == bytes([0, 0x44, 0x01, 0, 0, 0x10, 0x27, 0x10, 0x27])
    assert running(commands.answer(6, 0x24, bytes([0x44]) + setting[1:], armed).personality)
    assert not running(commands.answer(6, 0x24, setting, armed).personality)
    assert not running(commands.answer(6, 0x24, bytes([0x44]) + setting[1:], WHO).personality)


@pytest.mark.parametrize(("control", "power"), [(0, False), (1, True), (2, True), (3, True), (5, False)])
def test_chassis_control_changes_the_power_and_is_recorded(control, power):
    before = Personality(WHO.guid, power=not power)
    answer = commands.answer(0, 2, bytes([control]), before)
    assert (answer.personality.power, answer.chassis) == (power, f"{control:#04x}")
    assert commands.answer(0, 1, b"", answer.personality).data[1] == int(power)


@pytest.mark.parametrize(
    ("netfn", "number", "data"), [(6, 0x99, b""), (0, 2, b""), (0, 2, b"\x0e"), (6, 0x24, b"\x00")]
)
def test_anything_else_is_refused(netfn, number, data):
    answer = commands.answer(netfn, number, data, WHO)
    assert answer == commands.Answer(bytes([commands.INVALID_COMMAND]), WHO)
