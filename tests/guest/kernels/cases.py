"""The cases: each function is a case on a fresh guest and answers with its lines of the table.

A line's value is what was seen. `unexpected` collects what the product must never do, on whatever kernel.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bmc_healer.config.settings import LadderSettings
from bmc_healer.host import kernels
from bmc_healer.host.observe import observe
from bmc_healer.rungs.load import load
from bmc_healer.rungs.throttle import throttle, unthrottle
from bmc_healer.rungs.unload import unload
from lab import Lab
from tests.guest.healer import Ended, Healer
from tests.guest.kernels.seen import (
    abandoned_request,
    channels,
    deed,
    ended,
    entered,
    later_resets,
    reset_out_of_band,
    start,
)
from tests.guest.matrix.test_rows import rungs
from tests.guest.outside import THROTTLE, assert_well, hang, poll

LADDER = LadderSettings(rmmod_limit=5.0)
WINDOWS = 7  # of 10 s: a given-up request, 55 s, lies within
HOTMOD = "/sys/module/ipmi_si/parameters/hotmod"
THREADS = "cat /proc/[0-9]*/comm 2>/dev/null | grep ^kipmi"


@dataclass
class Bench:
    """One kernel's guest, a folder for the product, and what should not have been."""

    lab: Lab
    folder: Path
    kernel: str  # uname -r
    unexpected: list[str] = field(default_factory=list)

    def must(self, holds: bool, what: str) -> None:
        """Note what does not hold."""
        if not holds:
            self.unexpected.append(what)

    def heal(
        self, name: str, before: Callable[[], object], **settings: str | float
    ) -> tuple[Ended, list[str]]:
        """The product's own heal of a hang; it must be healed out of band. The rungs it walked."""
        folder = self.folder / name
        folder.mkdir()
        healer = Healer(self.lab, folder)
        try:
            self.lab.bmc.reset_seconds(3)
            healer.settings(rmmod_limit=5, **settings)
            before()
            hang(self.lab)
            told = healer.heal()
            self.must(told.ending == (0, "healed", "oob"), f"{name}: {told.sentence}")
            return told, rungs(healer.report(told.told["incident"]))
        finally:
            healer.close()

    def well(self, name: str, resets: int) -> None:
        """As `assert_well`, into the table."""
        try:
            assert_well(self.lab, resets=resets)
        except AssertionError as error:
            self.must(False, f"{name}: {str(error).splitlines()[0]}")


Lines = dict[str, str]


def signals(bench: Bench) -> Lines:
    """What the driver shows of a hang, with nothing sent but one client's request."""
    lab = bench.lab
    idle = lab.scenes.kipmi_cpu(5)
    poll(lab)
    polling = lab.scenes.kipmi_cpu(10)
    lab.restore()
    lab.bmc.hang()
    start(lab, "ipmitool mc info")
    lab.bmc.wait(lambda now: now.swallowed > 0, seconds=60, what="a request that hangs")
    with entered(lab) as access:
        seen = observe(access, windows=WINDOWS, window_seconds=10.0)
    windows = seen.interfaces[0].windows
    client = ended(lab, "ipmitool", 120)
    timeouts = [round(window.timeouts * 10 / window.seconds) for window in windows]
    bench.must(
        windows[0].completed == 0 and windows[0].timeouts > 0, "the first window does not show the hang"
    )
    return {
        "kipmi healthy: idle / polled": f"{idle:.0f} / {polling:.0f} %",
        "kipmi with one request that hangs": f"{seen.kipmi_percent:.0f} %",
        "`mc info` on the hang": str(client or "goes on after 190 s"),
        "completed per 10 s window": " ".join(str(window.completed) for window in windows),
        "timeouts per 10 s": f"{min(timeouts)}-{max(timeouts)}",
        "hosed_count in 70 s": f"+{sum(window.hosed for window in windows)}",
    }


def queued_reset(bench: Bench) -> Lines:
    """An in-band reset on a proven hang, the driver left loaded, then a reset from outside."""
    lab = bench.lab
    hang(lab, 1)
    start(lab, "ipmitool mc reset cold")
    told = ended(lab, "ipmitool", 120)
    delivered = channels(lab)
    spin = lab.scenes.kipmi_cpu(8)
    reset_out_of_band(lab)
    seen = later_resets(lab)
    carried_out = "inband" in seen
    knows = kernels.queues_inband_reset(bench.kernel)
    bench.must(knows or not carried_out, "a queued reset that the plan does not know")
    return {
        "in-band `mc reset cold` on the hang": f"{told}; reached the BMC: {delivered}",
        "kipmi right after it": f"{spin:.0f} %",
        "that reset is carried out later": f"{'yes' if carried_out else 'no'} (resets: {seen})",
        "the plan takes it for queued": "yes" if knows else "no",
    }


def queued_removed(bench: Bench) -> Lines:
    """The same, but the interface is taken through hotmod: that the queue goes with it is relied upon."""
    lab = bench.lab
    hang(lab, 1)
    start(lab, "ipmitool mc reset cold")
    ended(lab, "ipmitool", 120)
    lab.scenes.look_built_in()
    with entered(lab) as access:
        gone = unload(access, observe(access, windows=0), watchdog_running=False, settings=LADDER, **deed())
    reset_out_of_band(lab)
    with entered(lab) as access:
        params = gone.evidence["params"]
        back = load(access, observe(access, windows=0), settings=LadderSettings(), params=params, **deed())
    seen = later_resets(lab)
    bench.must(back.state == "done", f"load after a queued reset: {back.sentence}")
    # What is `done` closes the reset's intent as dropped (verbs/host_rungs.py); what is stuck keeps it open.
    bench.must(gone.state != "done" or seen == "lan", f"removed, and yet the resets are {seen}")
    return {"that reset, after hotmod remove": f"{gone.state}; resets: {seen}"}


def unload_pending(bench: Bench) -> Lines:
    """The rung `unload` with the request of a killed client in the driver; and a device that is held."""
    lab = bench.lab
    lab.scenes.hold_device()
    start(lab, "/sbin/rmmod ipmi_devintf")
    held = ended(lab, "rmmod", 30)
    lab.restore()
    abandoned_request(lab)
    with entered(lab) as access:
        done = unload(access, observe(access, windows=0), watchdog_running=False, settings=LADDER, **deed())
        left = observe(access, windows=0)
    tries = [step for step in done.evidence["steps"] if step["command"] == "rmmod ipmi_si"]
    bench.must(not left.kipmi, "unload left kipmi behind")
    seconds = " + ".join(f"{step['seconds']:.1f}" for step in tries)
    return {
        "rmmod while /dev/ipmi0 is held": str(held),
        "unload with a request pending": f"{done.state}; rmmod ipmi_si {seconds} s",
    }


def modprobe_dead(bench: Bench) -> Lines:
    """Loading the driver while the BMC hangs, and what the rung `load` makes of it once it is back."""
    lab = bench.lab
    lab.guest("rmmod acpi_ipmi ipmi_devintf ipmi_si ipmi_msghandler")
    lab.bmc.hang()
    start(lab, "sh -c '/sbin/modprobe ipmi_si; r=$?; /sbin/modprobe ipmi_devintf; exit $r'")
    told = ended(lab, "modprobe", 300)
    device = lab.guest("ls /dev/ipmi0").rc == 0
    lab.bmc.ok()
    with entered(lab) as access:
        back = load(access, observe(access, windows=0), settings=LadderSettings(), **deed())
    bench.must(back.state == "done", f"load after a modprobe that gave up: {back.sentence}")
    again = "rmmod and modprobe" if back.evidence.get("gave_up") else "modprobe"
    return {
        "modprobe on the dead BMC": f"{told}; {'a' if device else 'no'} /dev/ipmi0",
        "then, BMC healthy, rung `load`": f"{back.state} by {again}",
    }


def hotmod(bench: Bench) -> Lines:
    """The driver as if it were built in: its interface taken with a request pending, and given back."""
    lab = bench.lab
    abandoned_request(lab)
    lab.scenes.look_built_in()
    with entered(lab) as access:
        gone = unload(access, observe(access, windows=0), watchdog_running=False, settings=LADDER, **deed())
        params = gone.evidence["params"]
        took = sum(step["seconds"] for step in gone.evidence["steps"])
        lines = {"hotmod remove, request pending": f"{gone.state}, {took:.1f} s"}
        if gone.state == "done":
            start(lab, f"sh -c 'echo add,{params[0]} > {HOTMOD}'")
            lines["hotmod add on the dead BMC"] = str(ended(lab, "sh", 300))
        else:
            lines["hotmod add on the dead BMC"] = "not tried: the remove hangs"
        lab.bmc.ok()
        back = load(access, observe(access, windows=0), settings=LadderSettings(), params=params, **deed())
    bench.must(back.state == "done", f"hotmod add: {back.sentence}")
    waited = (
        f", after {back.evidence['waited_for_write']} s of waiting"
        if "waited_for_write" in back.evidence
        else ""
    )
    by = "remove and add (duplicate)" if back.evidence.get("duplicate") else "add"
    thread = lab.guest(THREADS).out.strip() or "no thread"
    return {**lines, "then, BMC healthy, rung `load`: hotmod": f"{back.state} by {by}{waited}; {thread}"}


def throttled(bench: Bench) -> Lines:
    """`kipmid_max_busy_us` while a request hangs, and `force_kipmid=0` at load time."""
    lab = bench.lab
    hang(lab, 1)
    with entered(lab) as access:
        before = observe(access, windows=1, window_seconds=8.0)
        bench.must(throttle(access, before, **deed()).state == "done", "throttle")
        during = observe(access, windows=1, window_seconds=8.0)
        bench.must(
            unthrottle(access, during, before.throttle_us or 0, **deed()).state == "done", "unthrottle"
        )
        after = observe(access, windows=1, window_seconds=8.0)
    percent = " / ".join(f"{seen.kipmi_percent:.0f}" for seen in (before, during, after))
    return {"kipmi before / at 100 us / after": f"{percent} %"}


def force_kipmid(bench: Bench) -> Lines:
    """What an escalation advises: no thread at all, from the next load on."""
    lab = bench.lab
    lab.guest("rmmod acpi_ipmi ipmi_devintf ipmi_si; modprobe ipmi_si force_kipmid=0; modprobe ipmi_devintf")
    thread = lab.guest(THREADS).out.strip() or "no kipmi"
    start(lab, "ipmitool mc info")
    slow = ended(lab, "ipmitool", 120)
    told = f"`mc info` {slow.seconds:.1f} s, rc {slow.rc}" if slow else "`mc info` goes on after 120 s"
    return {"`force_kipmid=0` at load": f"{thread}; {told}"}


def heal_classic(bench: Bench) -> Lines:
    """The whole ladder, in-band reset included."""
    told, rungs = bench.heal("classic", lambda: None, inband_when_stuck="try", stuck_windows=3)
    seen = later_resets(bench.lab)
    bench.must(seen == "lan", f"classic: resets {seen}")
    bench.well("classic", 1)
    return {"heal: classic": _told(told, rungs, seen)}


def heal_held(bench: Bench) -> Lines:
    """The device is held by somebody: throttle instead of unload, undone in the end."""
    told, rungs = bench.heal("held", bench.lab.scenes.hold_device, inband_when_stuck="try")
    seen = later_resets(bench.lab)
    bench.must(seen == "lan", f"held: resets {seen}")
    value = bench.lab.guest(THROTTLE).out.strip() or "0"
    bench.must("throttle" in rungs and set(value.split(",")) == {"0"}, f"held: throttle {value}")
    bench.well("held", 1)
    return {"heal: device held by another": f"{_told(told, rungs, seen)}; throttle afterwards {value}"}


def heal_hotmod(bench: Bench) -> Lines:
    """The driver as if it were built in."""
    told, rungs = bench.heal("hotmod", bench.lab.scenes.look_built_in, inband_when_stuck="try")
    seen = later_resets(bench.lab)
    bench.must(seen == "lan", f"hotmod: resets {seen}")
    bench.well("hotmod", 1)
    thread = bench.lab.guest(THREADS).out.strip() or "no thread"
    return {"heal: driver built in": f"{_told(told, rungs, seen)}; {thread}"}


def _told(told: Ended, rungs: list[str], resets: str) -> str:
    return f"{told.told.get('outcome')} by {told.told.get('healed_by')}: {' '.join(rungs)}; resets: {resets}"


CASES = (
    *(heal_classic, heal_held, heal_hotmod, signals, queued_reset, queued_removed),
    *(unload_pending, modprobe_dead, hotmod, throttled, force_kipmid),
)
MODULE = (heal_classic, unload_pending, modprobe_dead, force_kipmid)  # not for a built-in driver
