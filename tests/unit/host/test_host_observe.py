"""Snapshots taken in a guest (Debian 6.1 with the field's driver), and what is made of them.

`rhel6` is written by hand after Linux 2.6.32's own formats: no such machine is at hand.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bmc_healer.config.settings import WatchSettings
from bmc_healer.errors import HostAccessError
from bmc_healer.host.access import Result
from bmc_healer.host.clients import marked
from bmc_healer.host.facts import CounterWindow, DeviceNode, Holder
from bmc_healer.host.observe import facts, observe
from bmc_healer.host.procfs import Snapshot, parse

DATA = Path(__file__).with_name("data")


def text(name: str) -> str:
    return (DATA / f"{name}.txt").read_text()


def look(*snapshots: Snapshot):
    return facts(snapshots, privileged=True, now=1000.0)


def test_healthy():
    found = look(parse(text("healthy")))
    assert (found.kernel, found.boot_id[:8]) == ("6.1.0-56-amd64", "1caa3174")
    assert [thread.name for thread in found.kipmi] == ["kipmi0"]
    assert found.clients == () and found.holders == ()
    assert found.devices == (DeviceNode("/dev/ipmi0", True),)
    assert found.interfaces[0].params == "kcs,i/o,0xca2,rsp=1,rsi=1,rsh=0,irq=0,ipmb=32"
    assert found.interfaces[0].irq is False
    assert set(found.modules) == {"acpi_ipmi", "ipmi_devintf", "ipmi_si", "ipmi_msghandler"}
    assert found.modules["ipmi_msghandler"].users == ("acpi_ipmi", "ipmi_devintf", "ipmi_si")
    assert found.builtin == frozenset()
    assert found.dmi.uuid == "5d81cb20-ff6a-5b98-bceb-6bff817b192c"
    assert (found.throttle_us, found.had_bmc, found.ipmitool, found.driver_loaded) == (0, True, True, True)
    assert not found.parameter_write_hangs and not found.watchdog_module


def test_hung_clients_holders_and_our_mark():
    found = look(parse(text("hung")))
    assert [(client.program, client.subcommand, client.state) for client in found.clients] == [
        ("ipmitool", "mc info", "S")
    ] * 4
    assert [client.mark for client in found.clients] == [None, None, None, "inc1:4"]
    assert found.clients[0].wchan == "do_select"
    assert found.clients[0].stack[0] == "do_select+0x67c/0x840"
    assert found.clients[0].age_seconds == pytest.approx(39.04 - 29.56)
    assert found.holders[0] == Holder(356, "ipmitool", "/dev/ipmi0")
    assert [thread.name for thread in found.kipmi] == ["kipmi1"]


def test_stuck_parameter_write_and_a_reader_in_d():
    found = look(parse(text("hotmod")))
    assert found.parameter_write_hangs and found.throttle_us is None
    assert {(client.program, client.kind, client.state, client.mark) for client in found.clients} == {
        ("cat", "other", "D", None),
        ("sh", "module", "D", "inc1:4"),
    }
    assert found.kipmi == ()


def test_a_stuck_parameter_write_that_runs_just_now():
    """It is in D and runs by turns; what runs has no stack to read."""
    before, _, after = text("hotmod").partition("==> /proc/541/stack <==")
    running = before.replace("541 (sh) D", "541 (sh) R") + "@@ wchan" + after.partition("@@ wchan")[2]
    found = look(parse(running))
    assert found.parameter_write_hangs and found.throttle_us is None
    assert [(client.kind, client.state) for client in marked(found, "inc1:4")] == [("module", "R")]


@pytest.mark.parametrize(
    ("program", "kind"), [("ipmitool", "client"), ("bmc-info", "client"), ("racadm", "other"), ("tar", None)]
)
def test_a_command_line_that_was_left_out_is_told_as_such(program, kind):
    """Whose words decide whether it writes firmware is told of, though nothing of it says IPMI."""
    whole = text("hung").replace("365 (ipmitool) S", f"365 ({program}) D")
    start = whole.index("==> /proc/365/cmdline")
    left_out = whole[:start] + "@@ unread\n365\n" + whole[whole.index("@@ mark") :]
    seen = {client.pid: (client.kind, client.known) for client in look(parse(left_out)).clients}
    assert seen.pop(365, None) == (kind and (kind, False))
    assert set(seen.values()) == {("client", True)} and len(seen) == 3


def changed(snapshot: Snapshot, seconds: float, **counters: int) -> Snapshot:
    old = snapshot.interfaces["ipmi0"]
    new = {**old, **{key: str(int(old[key]) + value) for key, value in counters.items()}}
    return replace(snapshot, uptime=snapshot.uptime + seconds, interfaces={"ipmi0": new})


def test_windows_are_differences_of_neighbours():
    first = parse(text("hung"))
    second = changed(first, 10.0, short_timeouts=1200, long_timeouts=3)
    third = changed(second, 11.0, complete_transactions=4, hosed_count=1)
    found = look(first, second, third)
    assert found.seconds == pytest.approx(21.0)
    assert found.interfaces[0].windows == (
        CounterWindow(pytest.approx(10.0), 0, 1203, 0),
        CounterWindow(pytest.approx(11.0), 4, 0, 1),
    )


def test_no_window_over_a_reload_of_the_driver():
    first = parse(text("hung"))
    assert look(first, changed(first, 10.0, complete_transactions=-5)).interfaces[0].windows == ()
    gone = replace(first, interfaces={})
    assert look(gone, first).interfaces[0].windows == ()
    assert look(first, gone).interfaces == ()


def test_kipmi_cpu_of_an_old_a_new_and_a_renamed_thread():
    first = parse(text("hung"))
    thread = next(line for line in first.processes if line.comm == "kipmi1")
    others = tuple(line for line in first.processes if line is not thread)
    busy = replace(thread, cpu_ticks=thread.cpu_ticks + 990)
    later = replace(first, uptime=first.uptime + 10.0, processes=(*others, busy))
    assert look(first, later).kipmi_percent == pytest.approx(99.0)
    born = int((first.uptime + 5.0) * 100)
    new = replace(thread, pid=999, start_ticks=born, cpu_ticks=250)
    later = replace(later, processes=(*others, new))
    assert look(first, later).kipmi_percent == pytest.approx(50.0)
    pretender = replace(busy, kernel_thread=False)
    assert look(first, replace(later, processes=(*others, pretender))).kipmi == ()
    assert look(first).kipmi_percent == 0.0


def test_iowait():
    first = parse(text("hung"))
    later = replace(first, cpu_ticks=first.cpu_ticks + 2000, iowait_ticks=first.iowait_ticks + 500)
    assert look(first, later).iowait_percent == pytest.approx(25.0)


RHEL6 = """@@ host
boot_id=aaaa
kernel=2.6.32-754.el6.x86_64
load=194.02 190.10 188.33 3/1701 4711
cpu=cpu  10 20 30 40 50 60 70 0 0
product_serial=ABC1234
uptime=2023080.11 100.0
@@ stat
1333 (kipmi0) R 2 0 0 0 -1 2157978688 0 0 0 0 17 202308000 0 0 39 19 1 0 1500 0 0
@@ interface ipmi0
@@ interface ipmi0
params=kcs,i/o,0xca8,rsp=4,rsi=1,rsh=0,irq=10,ipmb=32
interrupts_enabled=1
short_timeouts=77
long_timeouts=1
complete_transactions=20
hosed_count=2
@@ modules
ipmi_si 43395 2 - Live 0xffffffffa0000000
ipmi_msghandler 35880 3 ipmi_si,power_meter, Live 0xffffffffa0001000
power_meter 9009 0 - Live 0xffffffffa0002000
nfs 400000 1 - Live 0xffffffffa0003000
@@ majors
@@ nodes
crw-rw----. 1 0 0 248, 0 Nov 21 11:41 /dev/ipmi0
lrwxrwxrwx. 1 0 0 5 Nov 21 11:41 /dev/ipmi1 -> ipmi0
-rw-r--r-- 1 0 0 5 Nov 21 11:41 /dev/ipmi2
@@ parameters
throttle=
@@ end
"""


def test_an_old_kernel():
    found = look(parse(RHEL6))
    assert found.load1 == 194.02
    assert found.interfaces[0].params is not None and found.interfaces[0].irq is True
    assert set(found.modules) == {"ipmi_si", "ipmi_msghandler", "power_meter"}
    assert [(node.path, node.owned) for node in found.devices] == [
        ("/dev/ipmi0", False),
        ("/dev/ipmi1", False),
        ("/dev/ipmi2", False),
    ]
    assert found.throttle_us == 0
    assert (found.dmi.serial, found.dmi.uuid, found.ipmitool) == ("ABC1234", "", False)


@pytest.mark.parametrize("cut", range(0, 4500, 90))
def test_a_cut_answer_is_refused_without_quoting_it(cut):
    with pytest.raises(HostAccessError) as caught:
        parse(text("hung")[:cut], where="db01")
    assert caught.value.where == "db01"
    assert "ipmitool" not in caught.value.sentence


LINES = st.sampled_from((text("hung") + text("hotmod") + RHEL6).split("\n"))


@given(st.lists(st.one_of(LINES, st.text(max_size=40)), max_size=60).map("\n".join))
def test_whatever_comes_is_a_snapshot_or_an_access_error(garbage):
    for candidate in (garbage, text("hung").replace("@@ stack", garbage + "\n@@ stack")):
        try:
            snapshot = parse(candidate)
        except HostAccessError:
            continue
        look(snapshot, snapshot)


@given(st.integers(0, 4000), st.text(max_size=30))
def test_a_spot_of_garbage(at, garbage):
    good = text("hung")
    with suppress(HostAccessError):
        look(parse(good[:at] + garbage + good[at + len(garbage) :]))


class Replayed:
    """Stands in for a host: answers each look with the next recorded snapshot."""

    name = "db01"
    privileged = True

    def __init__(self, *answers: Result) -> None:
        self.answers = list(answers)

    def run(self, argv, **options) -> Result:
        assert options["stdin"].startswith("fact()")
        return self.answers.pop(0)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None


def answer(of: str) -> Result:
    return Result(0, of, "", 0.1)


def test_observe_sleeps_between_its_looks_and_tells_each():
    good = text("hung")
    slept: list[float] = []
    told: list[float] = []
    tick: Callable = lambda now: told.append(now.seconds)  # noqa: E731
    later = good.replace("uptime=39.04", "uptime=49.54")
    found = observe(
        Replayed(answer(good), answer(later), answer(later.replace("49.54", "60.04"))),
        windows=2,
        settings=WatchSettings(counter_window_seconds=7.0),
        clock=lambda: 5.0,
        sleep=slept.append,
        on_tick=tick,
    )
    assert slept == [7.0, 7.0]
    assert told == [pytest.approx(10.5), pytest.approx(21.0)]
    assert found.observed_at == 5.0 and len(found.interfaces[0].windows) == 2


def test_a_reboot_in_between_is_an_error():
    good = text("hung")
    host = Replayed(answer(good), answer(good.replace("1caa3174", "2caa3174")))
    with pytest.raises(HostAccessError, match="rebooted"):
        observe(host, sleep=lambda _: None)


def test_a_look_that_does_not_end_is_an_error():
    with pytest.raises(HostAccessError, match="did not end"):
        observe(Replayed(Result(None, text("hung"), "", 34.0, unkillable=True)), windows=0)
