"""What a look at a host found: plain frozen data from `host.observe`, read by diagnosis, plan and gates."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class KipmiThread:
    """A kernel thread `kipmiN`; CPU in percent of one core over the observation."""

    pid: int
    name: str
    cpu_percent: float


@dataclass(frozen=True)
class ClientProcess:
    """A process that talks (or may talk) to the BMC in-band.

    Of its command line only the program and the subcommand are kept (`mc info`), never arguments: they may
    hold somebody's password. `mark` is the pack's own mark (`incident:fence`) when it started the process.
    """

    pid: int
    start_ticks: int
    program: str
    subcommand: str
    age_seconds: float
    state: str
    wchan: str = ""
    stack: tuple[str, ...] = ()
    mark: str | None = None
    kind: Literal["client", "flash", "console", "module", "other"] = "client"
    known: bool = True  # False: its command line could not be read; kind, subcommand and inband are guesses
    inband: bool = True  # False: an ipmitool with -I lan/lanplus/-H, talks to another machine's BMC


@dataclass(frozen=True)
class CounterWindow:
    """Differences of the driver's counters over one window of `seconds`.

    `timeouts` is short_timeouts + long_timeouts. A stuck request: completed == 0 and timeouts > 0.
    """

    seconds: float
    completed: int
    timeouts: int
    hosed: int


@dataclass(frozen=True)
class Interface:
    """One interface of ipmi_si: `ipmi0`, its hotmod parameters and its counters over the windows."""

    name: str
    params: str | None
    windows: tuple[CounterWindow, ...] = ()
    irq: bool | None = None


@dataclass(frozen=True)
class Module:
    """A line of /proc/modules. `refcount` -1 means it is being removed by a stuck rmmod."""

    name: str
    refcount: int
    users: tuple[str, ...]
    state: str


@dataclass(frozen=True)
class DeviceNode:
    """A /dev/ipmiN; `owned` is False when no driver owns its major number (a stale mknod)."""

    path: str
    owned: bool


@dataclass(frozen=True)
class Holder:
    """A process with an open /dev/ipmiN."""

    pid: int
    program: str
    device: str


@dataclass(frozen=True)
class Dmi:
    """SMBIOS facts; empty strings where the host would not say."""

    uuid: str = ""
    serial: str = ""
    vendor: str = ""
    product: str = ""
    bios_version: str = ""
    board_serial: str = ""


@dataclass(frozen=True)
class HostFacts:
    """One observation of a host over `seconds`. Nothing in it was read from a place that can hang."""

    observed_at: float  # epoch seconds, our clock
    seconds: float
    boot_id: str
    kernel: str  # uname -r
    load1: float
    iowait_percent: float
    kipmi: tuple[KipmiThread, ...] = ()
    clients: tuple[ClientProcess, ...] = ()
    interfaces: tuple[Interface, ...] = ()
    modules: dict[str, Module] = field(default_factory=dict)
    builtin: frozenset[str] = frozenset()  # IPMI modules in /sys/module but not in /proc/modules
    devices: tuple[DeviceNode, ...] = ()
    holders: tuple[Holder, ...] = ()
    dmi: Dmi = Dmi()
    throttle_us: int | None = None  # kipmid_max_busy_us of ipmi_si; None: not readable or not loaded
    watchdog_module: bool = False  # ipmi_watchdog loaded
    ipmitool: bool = True  # found on the host's PATH
    privileged: bool = True  # root, or sudo -n works
    parameter_write_hangs: bool = False  # a write to a module parameter is stuck: even reading one would hang
    had_bmc: bool = True  # SMBIOS type 38, ACPI IPI0001, a driver or a device: the host has an IPMI interface

    @property
    def driver_loaded(self) -> bool:
        """ipmi_si is there, as a module or built in."""
        return "ipmi_si" in self.modules or "ipmi_si" in self.builtin

    @property
    def kipmi_percent(self) -> float:
        """CPU of the busiest kipmi thread, percent of one core; 0 without one."""
        return max((thread.cpu_percent for thread in self.kipmi), default=0.0)


@dataclass(frozen=True)
class InbandAnswer:
    """What `ipmitool mc info` on the host came to.

    `error` is one sentence. `timed_out`: no end within its limit; `unkillable`: it is still there, in D.
    `busy`: "Device or resource busy", which kernel 7.2 says for 30 s after a reset: not yet, not failed.
    `given_up`: the interface itself ended the command with 0xC3, since the BMC took no notice of it.
    """

    answered: bool
    seconds: float
    error: str = ""
    firmware: str = ""
    device_available: bool = True
    timed_out: bool = False
    unkillable: bool = False
    busy: bool = False
    given_up: bool = False
