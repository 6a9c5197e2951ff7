"""Which clients hang, and which of them may be ended (SAFETY 8)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bmc_healer.config.settings import WatchSettings
from bmc_healer.host.clients import flash_tools, hung, marked, reapable
from bmc_healer.host.facts import ClientProcess, HostFacts

SETTINGS = WatchSettings(hung_client_seconds=60)
HUNG = ClientProcess(7, 100, "ipmitool", "mc info", 61.0, "S", wchan="do_select")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        ({"wchan": "poll_schedule_timeout.constprop.0"}, True),
        ({"wchan": "", "state": "D"}, True),
        ({"wchan": "0"}, True),
        ({"age_seconds": 60.0}, False),
        ({"state": "R", "wchan": "0"}, False),
        ({"wchan": "pipe_write"}, False),
        ({"wchan": "wait_woken"}, False),
        ({"inband": False}, False),
        ({"kind": "flash"}, False),
        ({"kind": "console"}, False),
        ({"kind": "module", "state": "D"}, False),
        ({"kind": "other"}, False),
    ],
)
def test_hung(changes, expected):
    assert hung(replace(HUNG, **changes), SETTINGS) is expected


def test_own_probe_is_left_alone_for_75_seconds():
    young, old = replace(HUNG, mark="probe", age_seconds=75.0), replace(HUNG, mark="probe", age_seconds=75.1)
    assert reapable([young, old, HUNG], SETTINGS) == [old, HUNG]


def test_flash_tools_and_marks_are_found():
    flash = replace(HUNG, pid=8, kind="flash", subcommand="hpm upgrade")
    remote = replace(flash, pid=9, inband=False)
    ours = replace(HUNG, pid=10, mark="inc:4")
    facts = HostFacts(0.0, 0.0, "b", "6.1", 0.0, 0.0, clients=(HUNG, flash, remote, ours))
    assert flash_tools(facts) == [flash]
    assert marked(facts) == [ours]
    assert marked(facts, "inc:4") == [ours]
    assert marked(facts, "inc:5") == []
