from __future__ import annotations

import pytest

from bmc_healer.config.settings import LadderSettings
from bmc_healer.host.access import Result
from bmc_healer.rungs.unload import unload

from .pretend import EAGAIN, LATE, PARAMS, STUCK, Pretended, stopped_at_the_third

ORDER = ["rmmod acpi_ipmi", "rmmod ipmi_devintf", "rmmod ipmi_si", "rmmod ipmi_msghandler"]


def go(host: Pretended, *, watchdog_running: bool | None = False, may_send=lambda: None, **more):
    return unload(
        host,
        host.facts(),
        watchdog_running=watchdog_running,
        settings=LadderSettings(),
        may_send=may_send,
        mark="inc:4",
        steady=host.clock,
        sleep=host.sleep,
        **more,
    )


def test_modules_leave_in_order():
    host = Pretended()
    outcome = go(host)
    assert outcome.state == "done"
    assert host.ran == ORDER
    assert outcome.evidence["removed"] == ["acpi_ipmi", "ipmi_devintf", "ipmi_si", "ipmi_msghandler"]
    assert outcome.evidence["params"] == [PARAMS]
    assert host.options["mark"] == "inc:4" and host.options["limit"] == LadderSettings().rmmod_limit


def test_may_send_stands_before_every_command():
    host = Pretended()
    assert stopped_at_the_third(go, host) == [0, 1, 2]
    assert host.ran == ORDER[:2]


@pytest.mark.parametrize(
    ("host", "watchdog", "words"),
    [
        (Pretended(modules={"ipmi_si": (1, ""), "ipmi_watchdog": (1, "")}), False, "ipmi_watchdog is loaded"),
        (Pretended(builtin="ipmi_watchdog"), False, "ipmi_watchdog is loaded"),
        (Pretended(modules={}, builtin="ipmi_si ipmi_watchdog"), False, "ipmi_watchdog is loaded"),
        (Pretended(), True, "watchdog runs"),
        (Pretended(), None, "is not known"),
        (Pretended(modules={}), False, "not loaded"),
    ],
)
def test_left_alone(host, watchdog, words):
    outcome = go(host, watchdog_running=watchdog)
    assert outcome.state == "skipped" and words in outcome.sentence
    assert host.ran == []


def test_eagain_of_a_pending_request_is_waited_out():
    host = Pretended(answers={"rmmod ipmi_si": [EAGAIN] * 5 + [lambda h: h.obey("rmmod ipmi_si")]})
    assert go(host).state == "done"
    assert host.now == pytest.approx(10.0)


def test_eagain_for_ever_ends_after_20_seconds():
    host = Pretended(answers={"rmmod ipmi_si": [EAGAIN]})
    outcome = go(host)
    assert outcome.state == "failed" and "a request is pending" in outcome.sentence
    assert 20 <= host.now < 25
    assert outcome.evidence["removed"] == ["acpi_ipmi", "ipmi_devintf"]


def test_a_holder_is_named_before_anything_is_taken_apart():
    host = Pretended(holders=["4242 /dev/ipmi0 ipmi exporter"])
    outcome = go(host)
    assert outcome.state == "failed"
    assert "ipmi exporter (pid 4242)" in outcome.sentence
    assert outcome.evidence["holders"] == [{"pid": 4242, "program": "ipmi exporter", "device": "/dev/ipmi0"}]
    assert host.ran == []


def test_a_holder_that_leaves_is_waited_for():
    host = Pretended(holders=["4242 /dev/ipmi0 ipmitool"])
    host.sleep = lambda seconds: host.holders.clear()
    assert go(host).state == "done"


def test_a_holder_that_comes_later_is_named():
    def held(host: Pretended) -> Result:
        host.holders = ["4242 /dev/ipmi0 ipmitool"]
        return Result(1, "", "rmmod: ERROR: Module ipmi_devintf is in use\n", 0.2)

    host = Pretended(answers={"rmmod ipmi_devintf": [held]})
    outcome = go(host)
    assert outcome.state == "failed" and "ipmi_devintf is in use by ipmitool (pid 4242)" in outcome.sentence
    assert host.now < 10


def test_stuck_modprobe_is_named():
    modprobe = "77 (modprobe) D 1 1 1 0 -1 0 0 0 0 0 0 5 0 0 20 0 1 0 300 0 0"
    stack = ["@@ stack", "==> /proc/77/stack <==", "[<0>] wait_for_msg_done+0x35/0x70 [ipmi_si]"]
    stack += ["@@ cmdline", "==> /proc/77/cmdline <==", "modprobe\x1fipmi_si"]
    host = Pretended(
        answers={"rmmod acpi_ipmi": [Result(1, "", "rmmod: ERROR: Module acpi_ipmi is in use\n", 0.1)]},
        extra=[modprobe, *stack],
    )
    assert "modprobe ipmi_si (pid 77)" in go(host).sentence


def stuck_in_d(host: Pretended) -> Result:
    host.modules["ipmi_si"] = (-1, "")
    host.kipmi = False
    return STUCK


def test_rmmod_in_d_is_stuck_and_nothing_more_is_tried():
    host = Pretended(answers={"rmmod ipmi_si": [stuck_in_d]})
    outcome = go(host)
    assert outcome.state == "stuck"
    assert "kipmi is gone" in outcome.sentence
    assert (outcome.evidence["kipmi_gone"], outcome.evidence["refcount"]) == (True, -1)
    assert host.ran == ORDER[:3]


def test_rmmod_that_ends_right_after_its_kill_is_done():
    def late(host: Pretended) -> Result:
        host.obey("rmmod ipmi_si")
        return STUCK

    assert go(Pretended(answers={"rmmod ipmi_si": [late]})).state == "done"


def test_an_earlier_stuck_rmmod_is_not_repeated():
    host = Pretended(modules={"ipmi_si": (-1, ""), "ipmi_msghandler": (1, "ipmi_si")}, kipmi=False)
    assert go(host).state == "stuck"
    assert host.ran == []


def test_rmmod_that_was_killed_at_its_limit_failed():
    outcome = go(Pretended(answers={"rmmod ipmi_si": [LATE]}))
    assert outcome.state == "failed" and "did not end within" in outcome.sentence


def test_msghandler_may_stay():
    host = Pretended(answers={"rmmod ipmi_msghandler": [EAGAIN]})
    outcome = go(host)
    assert outcome.state == "done"
    assert "ipmi_msghandler" not in outcome.evidence["removed"]


def test_a_module_that_is_gone_already_counts_as_removed():
    gone = Result(1, "", "rmmod: ERROR: Module acpi_ipmi is not currently loaded\n", 0.1)
    assert go(Pretended(answers={"rmmod acpi_ipmi": [gone]})).state == "done"


def test_a_foreign_module_on_ipmi_si_is_named():
    host = Pretended(
        modules={"ipmi_si": (1, "vendor_drv"), "vendor_drv": (0, ""), "ipmi_msghandler": (1, "ipmi_si")}
    )
    outcome = go(host)
    assert outcome.state == "failed" and "ipmi_si is used by vendor_drv" in outcome.sentence
    assert host.ran == []


def built_in(**changes) -> Pretended:
    return Pretended(modules={}, builtin="ipmi_si ipmi_devintf ipmi_msghandler", **changes)


def test_built_in_driver_loses_its_interface():
    host = built_in()
    outcome = go(host)
    assert outcome.state == "done"
    assert host.ran == [f"write remove,{PARAMS} hotmod"]
    assert outcome.evidence["params"] == [PARAMS]


def hangs(host: Pretended) -> Result:
    host.writing, host.kipmi = True, False
    return STUCK


def test_hotmod_in_d_is_stuck_and_left_to_the_reset():
    host = built_in(answers={"write remove": [hangs]})
    outcome = go(host)
    assert outcome.state == "stuck" and "hotmod remove hangs" in outcome.sentence
    assert "kipmi is gone" in outcome.sentence and outcome.evidence["params"] == [PARAMS]
    assert host.now == 0.0


@pytest.mark.parametrize(("minutes", "state"), [(8, "done"), (29, "done"), (31, "stuck")])
def test_hotmod_in_d_is_watched_where_no_reset_follows(minutes, state):
    host = built_in(answers={"write remove": [hangs]})

    def sleep(seconds: float) -> None:
        host.now += seconds
        host.writing = host.now < minutes * 60

    host.sleep = sleep
    outcome = go(host, reset_follows=False)
    assert outcome.state == state
    assert host.now == pytest.approx(min(minutes, 30) * 60, abs=10)
    assert outcome.evidence.get("hotmod_seconds") == (minutes * 60 if state == "done" else None)


def test_hotmod_that_fails():
    refused = Result(1, "", "sh: write error: Invalid argument\n", 0.1)
    assert go(built_in(answers={"write remove": [refused]})).state == "failed"


def test_no_second_write_while_one_hangs():
    host = built_in(writing=True)
    assert go(host).state == "skipped"
    assert host.ran == []


def test_built_in_without_parameters():
    assert go(built_in(interface=False)).state == "failed"
