"""Probes beside the watch: what they find is told, and not again while it stays the same."""

import pytest

from bmc_healer.config.settings import HostSettings
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
