"""Probes beside the watch: what they find is told, and not again while it stays the same."""

import pytest

import bmc_healer.host
from bmc_healer.config.settings import HostSettings
from bmc_healer.host.access import Result
from bmc_healer.host.facts import InbandAnswer
from bmc_healer.watch import probe

from .collect import Said, config_of

HOST = HostSettings("db01", "127.0.0.1", "ssh")
ANSWER = InbandAnswer(answered=True, seconds=0.1)


@pytest.fixture
def asked(monkeypatch):
    """A function that probes db01, whose BMC says so, and returns what was to be remembered."""
    config, _ = config_of({"db01": {"address": "127.0.0.1"}})
    said, learnt = Said(), []
    probes = probe.Probes(config, said, lambda: 1.0)

    def ask(**told):
        monkeypatch.setattr(probe, "learn", lambda host, limit, clock: (ANSWER, told))
        before, answers = len(said.lines), len(learnt)
        probes._ask(HOST, lambda: learnt.append(True), lambda: None)
        assert len(learnt) == answers + bool(told)
        return [line["remember"] for line in said.lines[before:]]

    return ask


def test_guid_and_firmware_are_told_once_and_when_they_change(asked):
    assert asked(inband_ok_at=1.0, firmware="2.41", bmc_guid="ab") == [
        {"host": "db01", "inband_ok_at": 1.0, "firmware": "2.41", "bmc_guid": "ab"}
    ]
    assert asked(inband_ok_at=2.0, firmware="2.41", bmc_guid="ab") == [{"host": "db01", "inband_ok_at": 2.0}]
    assert asked() == []
    assert asked(inband_ok_at=3.0, firmware="2.50", bmc_guid="ab") == [
        {"host": "db01", "inband_ok_at": 3.0, "firmware": "2.50"}
    ]


class Healthy:
    """Stands in for a host whose BMC answers in-band."""

    name = "db01"

    def __init__(self, dmi):
        self.dmi = dmi

    def run(self, argv, **_):
        if argv[0] == "grep":
            return Result(0, self.dmi, "", 0.1)
        guid = argv == ["ipmitool", "raw", "0x06", "0x37"]
        return Result(0, " ab" * 16 if guid else "Device ID      : 32\n", "", 0.1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None


@pytest.mark.parametrize(
    ("dmi", "machine"),
    [
        ("/sys/class/dmi/id/product_serial:CZ3012ABCD\n", {"bmc_guid_machine": "serial=cz3012abcd"}),
        ("", {}),
    ],
)
def test_the_guid_is_learnt_with_the_machine_that_it_is_of(monkeypatch, dmi, machine):
    monkeypatch.setattr(bmc_healer.host, "open_access", lambda host: Healthy(dmi))
    _, told = probe.learn(HOST, 10.0, lambda: 1.0)
    assert told == {"inband_ok_at": 1.0, "bmc_guid": "ab" * 16, **machine}
    # Each is a key of its own: a new machine must not be found with an older GUID
    assert list(told).index("bmc_guid") == 1
