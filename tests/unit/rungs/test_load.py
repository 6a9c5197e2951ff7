from __future__ import annotations

import pytest

from bmc_healer.config.settings import LadderSettings
from bmc_healer.host.access import Result
from bmc_healer.rungs.load import load

from .pretend import OK, PARAMS, STUCK, Pretended, stopped_at_the_third


def go(host: Pretended, *, may_send=lambda: None, **more):
    return load(
        host,
        host.facts(),
        settings=LadderSettings(),
        may_send=may_send,
        mark="inc:4",
        steady=host.clock,
        sleep=host.sleep,
        **more,
    )


def unloaded(**changes) -> Pretended:
    state = {"modules": {}, "interface": False, "nodes": [], "kipmi": False, **changes}
    return Pretended(**state)


def test_driver_and_device_come_back():
    host = unloaded()
    outcome = go(host, modules=["acpi_ipmi", "ipmi_devintf", "ipmi_si"])
    assert outcome.state == "done" and "/dev/ipmi0" in outcome.sentence
    assert host.ran == ["modprobe ipmi_si", "modprobe ipmi_devintf", "modprobe acpi_ipmi"]


def test_stale_node_goes_first():
    host = unloaded(nodes=["200 /dev/ipmi0"])
    assert go(host).state == "done"
    assert host.ran[0] == "rm -f /dev/ipmi0"


def test_nothing_to_do():
    host = Pretended()
    assert go(host).state == "skipped"
    assert host.ran == []


def test_may_send_stands_before_every_command():
    host = unloaded(nodes=["200 /dev/ipmi0"])
    assert stopped_at_the_third(go, host) == [0, 1, 2]
    assert host.ran == ["rm -f /dev/ipmi0", "modprobe ipmi_si"]


def test_a_driver_that_gave_up_is_loaded_anew():
    host = Pretended(interface=False, nodes=[], kipmi=False)
    outcome = go(host)
    assert outcome.state == "done" and outcome.evidence["gave_up"]
    assert host.ran == [
        "modprobe ipmi_si",
        "modprobe ipmi_devintf",
        "rmmod acpi_ipmi",
        "rmmod ipmi_devintf",
        "rmmod ipmi_si",
        "modprobe ipmi_si",
        "modprobe ipmi_devintf",
        "modprobe acpi_ipmi",
    ]


def test_a_dead_bmc_is_tried_twice_and_no_more():
    def in_vain(host: Pretended) -> Result:
        host.modules["ipmi_devintf"] = (0, "")
        return OK

    host = unloaded(answers={"modprobe ipmi_devintf": [in_vain]})
    outcome = go(host)
    assert outcome.state == "failed" and "no BMC that answers" in outcome.sentence
    assert host.ran.count("modprobe ipmi_si") == 2


def test_a_late_node_is_waited_for():
    host = unloaded()

    def without_node(host: Pretended) -> Result:
        host.obey("modprobe ipmi_devintf")
        host.nodes = []
        return OK

    host.answers["modprobe ipmi_devintf"] = [without_node]

    def sleep(seconds: float) -> None:
        host.now += seconds
        if host.now > 5:
            host.nodes = ["246 /dev/ipmi0"]

    host.sleep = sleep
    assert go(host).state == "done"
    assert host.ran.count("modprobe ipmi_si") == 1


def test_modprobe_in_d_is_stuck():
    outcome = go(unloaded(answers={"modprobe ipmi_si": [STUCK]}))
    assert outcome.state == "stuck" and "cannot be killed" in outcome.sentence


def test_modprobe_that_fails():
    missing = Result(1, "", "modprobe: FATAL: Module ipmi_si not found\n", 0.1)
    outcome = go(unloaded(answers={"modprobe ipmi_si": [missing]}))
    assert outcome.state == "failed" and "not found" in outcome.sentence


def test_nothing_while_an_earlier_command_hangs():
    host = unloaded(modules={"ipmi_si": (-1, "")})
    assert go(host).state == "stuck"
    modprobe = "77 (modprobe) D 1 1 1 0 -1 0 0 0 0 0 0 5 0 0 20 0 1 0 300 0 0"
    stack = ["@@ stack", "==> /proc/77/stack <==", "[<0>] wait_for_msg_done+0x35/0x70 [ipmi_si]"]
    other = unloaded(extra=[modprobe, *stack])
    assert go(other).state == "stuck"
    assert host.ran == other.ran == []


def test_no_reload_under_a_watchdog():
    host = Pretended(interface=False, nodes=[], modules={"ipmi_si": (0, ""), "ipmi_watchdog": (1, "")})
    host.answers["modprobe ipmi_devintf"] = [OK]
    outcome = go(host)
    assert outcome.state == "failed" and "ipmi_watchdog" in outcome.sentence
    assert not [command for command in host.ran if command.startswith("rmmod")]


def built_in(**changes) -> Pretended:
    state = {
        "modules": {},
        "builtin": "ipmi_si ipmi_devintf",
        "interface": False,
        "nodes": [],
        "kipmi": False,
    }
    return Pretended(**{**state, **changes})


def test_built_in_driver_gets_its_interface_back():
    host = built_in()
    assert go(host, params=[PARAMS]).state == "done"
    assert host.ran == [f"write add,{PARAMS} hotmod"]


def duplicate(host: Pretended) -> Result:
    host.log += "[ 9.1] ipmi_si hotmod-ipmi-si.1: hotmod-specified kcs state machine: duplicate\n"
    return OK


def test_a_known_interface_is_removed_and_added():
    host = built_in(answers={"write add": [duplicate, lambda h: h.obey("write add, hotmod")]})
    host.log = "[ 1.0] ipmi_si: duplicate of an earlier day\n"
    outcome = go(host, params=[PARAMS])
    assert (outcome.state, outcome.evidence["duplicate"]) == ("done", True)
    assert host.ran == [f"write {verb},{PARAMS} hotmod" for verb in ("add", "remove", "add")]


def test_a_duplicate_is_assumed_where_the_log_may_not_be_read():
    host = built_in(answers={"write add": [OK, lambda h: h.obey("write add, hotmod")]}, log=None)
    assert go(host, params=[PARAMS]).state == "done"
    assert host.ran == [f"write {verb},{PARAMS} hotmod" for verb in ("add", "remove", "add")]


def test_a_dead_bmc_costs_one_add():
    """Each takes two minutes in D."""
    host = built_in(answers={"write add": [OK]})
    assert go(host, params=[PARAMS]).state == "failed"
    assert host.ran == [f"write add,{PARAMS} hotmod"]


def test_the_renamed_thread_is_told():
    assert "polled by kipmi1" in go(built_in(thread="kipmi1"), params=[PARAMS]).sentence


def ends_at(host: Pretended, seconds: float) -> None:
    """The write that hangs ends at that moment of the host's clock."""

    def sleep(for_seconds: float) -> None:
        host.now += for_seconds
        host.writing = host.now < seconds

    host.sleep = sleep


def test_an_earlier_write_that_hangs_is_waited_for():
    host = built_in(writing=True)
    ends_at(host, 600.0)
    outcome = go(host, params=[PARAMS])
    assert (outcome.state, outcome.evidence["waited_for_write"]) == ("done", 600)


def test_a_built_in_ipmi_devintf_cannot_be_seen_and_need_not_be_loaded():
    missing = Result(1, "", "modprobe: FATAL: Module ipmi_devintf not found in directory\n", 0.1)
    host = built_in(builtin="ipmi_si ipmi_msghandler", answers={"modprobe ipmi_devintf": [missing]})
    assert go(host, params=[PARAMS]).state == "done"
    assert host.ran == ["modprobe ipmi_devintf", f"write add,{PARAMS} hotmod"]


def test_hotmod_add_in_vain():
    outcome = go(built_in(answers={"write add": [OK]}), params=[PARAMS])
    assert outcome.state == "failed" and "no BMC answers" in outcome.sentence


@pytest.mark.parametrize("params", [[], ["kcs\nremove,kcs"]])
def test_hotmod_without_good_parameters(params):
    host = built_in()
    assert go(host, params=params).state == "failed"
    assert host.ran == []


def test_hotmod_while_another_write_hangs():
    host = built_in(writing=True)
    outcome = go(host, params=[PARAMS])
    assert outcome.state == "stuck"  # and not skipped: what is to be added is still to be remembered
    assert host.now == pytest.approx(LadderSettings().hotmod_limit, abs=10)
    assert host.ran == []
