"""Host access, observation and the host's rungs against the real fault."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from bmc_healer.config.settings import HostSettings, LadderSettings, SshSettings, WatchSettings
from bmc_healer.host import open_access
from bmc_healer.host.clients import hung, marked
from bmc_healer.host.observe import observe
from bmc_healer.host.probe import inband_answer, inband_guid
from bmc_healer.rungs.load import load
from bmc_healer.rungs.reap import reap
from bmc_healer.rungs.throttle import throttle, unthrottle
from bmc_healer.rungs.unload import unload
from tests.guest.outside import QUIET_SECONDS

BOTH = pytest.mark.parametrize("lab", ["legacy", "stock"], indirect=True)
WATCH = WatchSettings(hung_client_seconds=5)
LADDER = LadderSettings(rmmod_limit=20)
STUCK = LadderSettings(rmmod_limit=4)  # where rmmod never ends; one that ends may need more


def entered(lab, user="root"):
    ssh = SshSettings(lab.ssh_port, user, str(lab.key_file), str(lab.known_hosts), connect_timeout=20.0)
    return open_access(HostSettings("labhost", "127.0.0.1", "ssh", ssh))


def deed():
    return {"may_send": lambda: None, "mark": "inc:4"}


def assert_seen_below(access, percent):
    """The product sees kipmi take less; one look on a busy machine may show more (outside.assert_quiet)."""
    end = time.monotonic() + QUIET_SECONDS
    while (seen := observe(access, windows=1, window_seconds=3).kipmi_percent) >= percent:
        assert time.monotonic() < end, f"kipmi takes {seen} %"


@BOTH
def test_healthy_host_is_seen_and_answers(lab):
    with entered(lab) as access:
        found = observe(access, windows=1, window_seconds=2)
        assert found.driver_loaded and found.had_bmc and found.ipmitool and found.privileged
        assert [node.path for node in found.devices if node.owned] == ["/dev/ipmi0"]
        assert_seen_below(access, 8)
        assert inband_answer(access, limit=60, mark="probe").answered
        assert inband_guid(access, limit=60) == lab.guid
        assert found.dmi.uuid.replace("-", "") == lab.guid


@BOTH
def test_from_hung_to_unloaded_to_healthy_with_one_reset(lab):
    with entered(lab) as access:
        lab.bmc.hang()
        lab.scenes.pile_up(3)
        found = observe(access, windows=2, window_seconds=4)
        windows = found.interfaces[0].windows
        assert [window.completed for window in windows] == [0, 0]
        assert all(window.timeouts > 50 for window in windows)
        assert found.kipmi_percent > (80 if lab.driver == "legacy" else 5)
        assert sum(hung(client, WATCH) for client in found.clients) == 3
        assert {holder.device for holder in found.holders} == {"/dev/ipmi0"}

        reaped = reap(access, found, watch=WATCH, **deed())
        # On a busy machine one that closes the device may still be in D when the rung ends.
        assert reaped.state == "done", reaped
        assert reaped.evidence["ended"] + len(reaped.evidence["left"]) == 3, reaped
        lab.guest("while pidof ipmitool; do sleep 0.2; done", timeout=60)
        found = observe(access, windows=0)
        assert found.clients == ()

        assert throttle(access, found, **deed()).state == "done"
        assert_seen_below(access, 10)
        assert observe(access, windows=0).throttle_us == 100
        assert unthrottle(access, found, 0, **deed()).state == "done"

        found = observe(access, windows=0)
        limits = STUCK if lab.driver == "legacy" else LADDER
        off = unload(access, found, watchdog_running=False, settings=limits, **deed())
        assert off.state == ("stuck" if lab.driver == "legacy" else "done")
        found = observe(access, windows=0)
        assert found.kipmi == () and found.devices == ()
        if lab.driver == "legacy":
            assert found.modules["ipmi_si"].refcount == -1
            assert [client.program for client in marked(found, "inc:4")] == ["rmmod"]
            assert load(access, found, settings=STUCK, **deed()).state == "stuck"

        lab.bmc.reset_seconds(3)
        lab.oob("mc", "reset", "cold")
        lab.bmc.wait_reset(1, seconds=30)
        lab.guest("while grep -q '^ipmi_si ' /proc/modules; do sleep 0.2; done; mknod /dev/ipmi0 c 200 0")
        on = load(access, observe(access, windows=0), settings=LadderSettings(), **deed())
        assert on.state == "done" and on.evidence["steps"][0]["command"] == "rm /dev/ipmi0"
        assert inband_answer(access, limit=60).answered
        assert lab.bmc.status().resets == 1


def stuck_write(lab, access):
    """A write to hotmod that hangs, if the driver is still at the request of the killed client: a race."""
    lab.bmc.hang()
    lab.guest("setsid ipmitool mc info > /dev/null 2>&1 &")
    lab.bmc.wait(lambda now: now.swallowed > 0, seconds=60, what="a request that hangs")
    lab.guest("killall -9 ipmitool")
    found = observe(access, windows=0)
    # The guest's driver is a module; hotmod is the same in both.
    built_in = replace(found, builtin=frozenset({"ipmi_si"}), modules={})
    return unload(access, built_in, watchdog_running=False, settings=STUCK, **deed())


def test_stuck_parameter_write_is_seen_and_left_alone(lab):
    for _ in range(3):
        with entered(lab) as access:
            told = stuck_write(lab, access)
            if told.state == "stuck":
                found = observe(access, windows=0)
                assert found.parameter_write_hangs and found.throttle_us is None
                assert throttle(access, found, **deed()).state == "skipped"
                return
        assert told.state == "done", told
        lab.restore()
    raise AssertionError(told)


def test_a_user_without_rights_is_told_so(lab):
    with entered(lab, "ops") as access:
        found = observe(access, windows=1, window_seconds=1)
        assert not found.privileged
        assert [thread.name for thread in found.kipmi] == ["kipmi0"]
