"""Samples of a watched host as the kernels in the guest show them (KERNELS), by the ten-second window."""

from __future__ import annotations

from dataclasses import replace

from bmc_healer.host.facts import ClientProcess
from bmc_healer.watch.snapshot import Counters, Sample, Thread

BOOT = "b00b00b0-0000-0000-0000-000000000000"
FIRST = Sample(
    at=1000.0,
    hz=100,
    boot_id=BOOT,
    kernel="6.1.0",
    load1=0.1,
    cpu_ticks=(200_000, 100),
    kipmi=(Thread(55, 300, 10_000, "kipmi0"),),
    counters={"ipmi0": Counters(500, 9000, 0)},
)


def client(age=300.0, state="S", wchan="do_select", kind="client", inband=True, pid=900):
    return ClientProcess(pid, 1000, "ipmitool", "mc info", age, state, wchan, kind=kind, inband=inband)


def after(sample, *, seconds=10.0, kipmi=0.0, completed=0, timeouts=0, hosed=0, clients=()):
    """The sample that follows, with so much CPU (percent) in kipmi0 and these differences of the counters."""
    counters = {
        name: Counters(c.completed + completed, c.timeouts + timeouts, c.hosed + hosed)
        for name, c in sample.counters.items()
    }
    return replace(
        sample,
        at=sample.at + seconds,
        cpu_ticks=(sample.cpu_ticks[0] + int(seconds * 200), sample.cpu_ticks[1]),
        kipmi=tuple(replace(t, ticks=t.ticks + round(kipmi * seconds)) for t in sample.kipmi),
        counters=counters,
        clients=tuple(clients),
        client_count=len(clients),
    )


def series(*windows, first=FIRST):
    """One sample, and one more for each window (keyword arguments of `after`)."""
    found = [first]
    for window in windows:
        found.append(after(found[-1], **window))
    return found


IDLE = {}
POLLED = {"kipmi": 10.0, "completed": 40, "timeouts": 300}
SLOW = {"kipmi": 20.0, "completed": 3, "timeouts": 900}
STUCK = {"kipmi": 18.0, "timeouts": 900}
STUCK_LEGACY = {"kipmi": 99.0, "timeouts": 1100}
STUCK_BY_INTERRUPT = {"kipmi": 0.0, "timeouts": 820}
