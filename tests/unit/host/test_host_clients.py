"""Which clients hang, and which of them may be ended (SAFETY 8)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bmc_healer.config.settings import WatchSettings
from bmc_healer.host.clients import hung, left_by, marked, may_flash, reapable, unread
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


def test_a_client_whose_command_line_was_not_read_hangs_and_is_left_alone():
    any_command = replace(HUNG, pid=8, state="D", subcommand="", known=False)
    young = replace(any_command, pid=9, age_seconds=5.0)
    assert hung(any_command, SETTINGS)
    assert reapable([any_command, young, HUNG], SETTINGS) == [HUNG]
    assert unread([any_command, young, HUNG], SETTINGS) == [any_command]


def on_host(*clients: ClientProcess) -> HostFacts:
    return HostFacts(0.0, 0.0, "b", "6.1", 0.0, 0.0, clients=clients)


def test_who_may_write_firmware():
    flash = replace(HUNG, pid=8, kind="flash", subcommand="hpm upgrade")
    not_read = replace(HUNG, pid=9, state="D", subcommand="", known=False)
    assert may_flash(on_host(HUNG)) == ""
    assert may_flash(on_host(HUNG, not_read, flash)) == "ipmitool is running on the host"
    assert "ipmitool (pid 9) is in D" in may_flash(on_host(HUNG, not_read))
    assert may_flash(on_host(replace(not_read, program="racadm", kind="other")))
    # This one writes firmware with no words at all
    assert may_flash(on_host(replace(not_read, program="ipmi-sensors"))) == ""


def test_what_a_heal_has_left_or_may_have():
    writer = replace(HUNG, pid=12, program="sh", kind="module", state="R", subcommand="")
    assert left_by(on_host(HUNG, writer), "inc") == ""
    assert "its sh (pid 12, state R) is still" in left_by(on_host(replace(writer, mark="inc:4")), "inc")
    assert left_by(on_host(replace(writer, mark="other:4")), "inc") == ""
    assert "cannot be read" in left_by(on_host(HUNG, replace(writer, known=False)), "inc")


def test_marks_are_found():
    ours = replace(HUNG, pid=10, mark="inc:4")
    facts = on_host(HUNG, ours)
    assert marked(facts) == [ours]
    assert marked(facts, "inc:4") == [ours]
    assert marked(facts, "inc:5") == []
