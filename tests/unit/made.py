"""Findings for the tests of the pure functions: a host that is well, and what each test changes of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bmc_healer.bmc.facts import BmcFacts, Login
from bmc_healer.diagnosis import Findings
from bmc_healer.host.facts import (
    ClientProcess,
    CounterWindow,
    DeviceNode,
    Dmi,
    HostFacts,
    InbandAnswer,
    Interface,
    KipmiThread,
    Module,
)
from bmc_healer.state.refs import HostMemory

NOW = 1_800_000_000.0
QUIET = CounterWindow(10.0, 0, 0, 0)
BUSY = CounterWindow(10.0, 4, 900, 0)
STUCK = CounterWindow(10.0, 0, 900, 0)


def client(pid: int = 100, age: float = 300.0, state: str = "S", **changes: Any) -> ClientProcess:
    base = ClientProcess(pid, 1000 + pid, "ipmitool", "sensor", age, state)
    return replace(base, **changes)


def host(windows: tuple[CounterWindow, ...] = (QUIET,), kipmi: float = 0.0, **changes: Any) -> HostFacts:
    base = HostFacts(
        observed_at=NOW,
        seconds=10.0,
        boot_id="b00t",
        kernel="6.1.0-56-amd64",
        load1=0.1,
        iowait_percent=0.0,
        kipmi=(KipmiThread(40, "kipmi0", kipmi),),
        interfaces=(Interface("ipmi0", "kcs,i/o,0xca2", windows),),
        modules={
            "ipmi_si": Module("ipmi_si", 1, (), "Live"),
            "ipmi_devintf": Module("ipmi_devintf", 0, (), "Live"),
        },
        devices=(DeviceNode("/dev/ipmi0", owned=True),),
        dmi=Dmi(uuid="a1234567-89ab-cdef-a123-456789abcdef"),
    )
    return replace(base, **changes)


def polled_by_interrupt() -> HostFacts:
    """A hang on a driver with an interrupt line: there is no kipmi thread at all."""
    return replace(host((STUCK,) * 3), kipmi=())


def no_device(**changes: Any) -> HostFacts:
    empty = replace(host(()), devices=(), modules={}, interfaces=(), kipmi=())
    return replace(empty, **changes)


def bmc(**changes: Any) -> BmcFacts:
    base = BmcFacts(
        NOW,
        "10.1.0.5",
        alive=True,
        login=Login.OK,
        guid="67452301ab89efcda123456789abcdef",
        firmware="9.8",
        device_available=True,
        power_on=True,
        watchdog_running=False,
    )
    return replace(base, **changes)


DEAD_BMC = BmcFacts(NOW, "10.1.0.5", alive=False, login=Login.UNTRIED, error="no answer to the ping")
ANSWER = InbandAnswer(True, 0.4, firmware="9.8")
NO_ANSWER = InbandAnswer(False, 60.0, error="No data available")


def found(
    facts: HostFacts | None = None,
    lan: BmcFacts | None = None,
    answer: InbandAnswer | None = None,
    **memory: Any,
) -> Findings:
    """`facts` None: the host cannot be reached; `lan` None: no BMC is configured."""
    return Findings(NOW, facts, lan, HostMemory("db01", **memory), answer, "" if facts else "SSH was refused")
