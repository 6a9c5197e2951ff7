from __future__ import annotations

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bmc_healer.host import probe
from bmc_healer.host.access import Result
from bmc_healer.host.facts import Dmi, InbandAnswer
from bmc_healer.host.probe import gave_up_lately, inband_answer, inband_guid, machine_dmi, read_answer

NOISE = "IANA PEN registry open failed: No such file or directory\n"
GOOD = """Device ID                 : 32
Device Revision           : 0
Firmware Revision         : 9.08
IPMI Version              : 2.0
Device Available          : yes
"""


def test_good_answer():
    assert read_answer(Result(0, GOOD, NOISE, 0.2)) == InbandAnswer(True, 0.2, firmware="9.08")


def test_updating_bmc_is_not_available():
    found = read_answer(Result(0, GOOD.replace("yes", "no"), "", 0.2))
    assert found.answered and not found.device_available


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (Result(1, "", NOISE + "Get Device ID command failed\n", 60.0), "Get Device ID command failed"),
        (Result(0, "Get Device ID command failed\n", "", 1.0), "status 0"),
        (Result(1, "", "Could not open device at /dev/ipmi0\n", 0.1), "Could not open device"),
        (Result(127, "", "setsid: failed to execute ipmitool\n", 0.1), "not installed"),
        (Result(None, "", NOISE, 75.0), "no answer within 75 s and was ended"),
        (Result(None, "", NOISE, 79.0, unkillable=True), "cannot be killed"),
    ],
)
def test_no_answer_says_why(result, words):
    found = read_answer(result)
    assert not found.answered
    assert words in found.error
    assert (found.timed_out, found.unkillable) == (result.status is None, result.unkillable)


def test_busy_after_a_reset_is_not_yet():
    assert read_answer(Result(1, "", "Unable to send command: Device or resource busy\n", 0.1)).busy


def test_a_command_that_the_interface_gave_up_is_told_from_silence():
    said = "Get Device ID command failed: 0xc3 Timeout\nGet Device ID command failed: Timeout\n"
    assert read_answer(Result(1, "", NOISE + said, 28.3)).given_up
    silent = "No data available\nGet Device ID command failed\n"
    assert not read_answer(Result(1, "", NOISE + silent, 60.0)).given_up


@given(st.text(), st.text(), st.one_of(st.none(), st.integers(0, 255)))
def test_total(out, err, status):
    read_answer(Result(status, out, err, 1.0))


LOG = """[   41.102030] ipmi_si IPI0001:00: IPMI message handler: Found new BMC
[  {when}] ipmi_si IPI0001:00: Couldn't get irq info: {code},
[  {when}] Maybe ok, but ipmi might run very slowly.
"""


@pytest.mark.parametrize(
    ("when", "code", "given_up"),
    [(270.5, "c3", True), (270.5, "c1", False), (200.5, "c3", False)],
)
def test_a_probe_that_got_no_turn_hears_of_a_soft_hang_from_the_log(when, code, given_up):
    silent = Result(1, "", "No data available\nGet Device ID command failed\n", 60.0)
    log = Result(0, "300.25\n" + LOG.format(when=when, code=code), "", 0.1)
    assert inband_answer(Saying(silent, log), limit=75.0).given_up is given_up


@pytest.mark.parametrize("log", ["", "dmesg: Operation not permitted\n", "nan\n", "1.2"])
def test_a_log_that_cannot_be_read_says_nothing(log):
    assert not gave_up_lately(log, 60.0)


@given(st.text(), st.floats(0, 1e6))
def test_a_log_is_anything(log, seconds):
    gave_up_lately(log, seconds)


def test_an_answer_needs_no_log():
    assert inband_answer(Saying(Result(0, GOOD, "", 0.2)), limit=75.0).answered


class Saying:
    """Stands in for a host that gives these answers, one after the other."""

    name = "db01"

    def __init__(self, *results: Result) -> None:
        self.results = iter(results)

    def run(self, argv, **_) -> Result:
        return next(self.results)


class Answering:
    """Stands in for a host that has one answer."""

    name = "db01"

    def __init__(self, result: Result) -> None:
        self.result = result

    def run(self, argv, **_) -> Result:
        assert argv == ["ipmitool", "raw", "0x06", "0x37"]
        return self.result


@pytest.mark.parametrize(
    ("result", "guid"),
    [
        (
            Result(0, " 5d 81 cb 20 ff 6a 5b 98 bc eb 6b ff 81 7b 19 2c\n", NOISE, 0.1),
            "5d81cb20ff6a5b98bceb6bff817b192c",
        ),
        (Result(0, " 5d 81\n", "", 0.1), None),
        (Result(1, "", "Unable to send RAW command\n", 0.1), None),
        (Result(None, "", "", 75.0), None),
    ],
)
def test_guid(result, guid):
    assert inband_guid(Answering(result), limit=75.0) == guid


UUID = "/sys/class/dmi/id/product_uuid:5D81CB20-FF6A-5B98-BCEB-6BFF817B192C\n"
SERIAL = "/sys/class/dmi/id/product_serial: CZ3012:ABCD \n"


@pytest.mark.parametrize(
    ("result", "dmi"),
    [
        (Result(0, UUID + SERIAL, "", 0.1), Dmi("5d81cb20-ff6a-5b98-bceb-6bff817b192c", "CZ3012:ABCD")),
        (Result(2, SERIAL, "", 0.1), Dmi(serial="CZ3012:ABCD")),  # not every file is there
        (Result(2, "", "", 0.1), Dmi()),
        (Result(127, "", "setsid: failed to execute grep\n", 0.1), Dmi()),
        (Result(0, "odd\n\n", "", 0.1), Dmi()),
    ],
)
def test_what_the_machine_says_of_itself(result, dmi):
    class Machine(Answering):
        def run(self, argv, **_) -> Result:
            assert argv[:3] == ["grep", "-s", "."]
            return self.result

    assert machine_dmi(Machine(result), limit=10.0) == dmi


def test_grep_names_the_file_of_each_line(tmp_path, monkeypatch):
    files = [str(tmp_path / name) for name in ("product_uuid", "missing", "product_serial")]
    (tmp_path / "product_uuid").write_text(f"{UUID.partition(':')[2]}")
    (tmp_path / "product_serial").write_text("CZ3012:ABCD\n")

    class Machine(Answering):
        def run(self, argv, **_) -> Result:
            ran = subprocess.run(argv, capture_output=True, text=True, check=False)
            return Result(ran.returncode, ran.stdout, ran.stderr, 0.1)

    monkeypatch.setattr(probe, "_DMI", (files[0], files[2]))
    found = machine_dmi(Machine(Result(0, "", "", 0.1)), limit=10.0)
    assert found == Dmi("5d81cb20-ff6a-5b98-bceb-6bff817b192c", "CZ3012:ABCD")
    monkeypatch.setattr(probe, "_DMI", (files[1], files[2]))
    assert machine_dmi(Machine(Result(0, "", "", 0.1)), limit=10.0) == Dmi(serial="CZ3012:ABCD")
