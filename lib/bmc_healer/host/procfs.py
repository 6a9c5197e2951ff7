"""Reads the text that snapshot.sh prints. Pure and total: whatever comes, a Snapshot or a HostAccessError.

An error never quotes the text: command lines of other people's processes are in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from ..errors import HostAccessError
from .facts import DeviceNode, Dmi, Holder, Module

# /proc shows times in USER_HZ: 100 on every architecture with IPMI (include/asm-generic/param.h).
TICKS_PER_SECOND = 100.0
_KTHREADD = 2
_INTERFACE = re.compile(r"ipmi\d{1,3}")
_HEADER = re.compile(r"==> /proc/(\d{1,9})/\w+ <==")
_NODE = re.compile(r"c\S+ +\d+ +\d+ +\d+ +(\d+), +\d+ .*")


@dataclass(frozen=True)
class ProcessLine:
    """One line of /proc/PID/stat with what else was read about the process."""

    pid: int
    comm: str
    state: str
    kernel_thread: bool
    cpu_ticks: int
    start_ticks: int
    argv: tuple[str, ...] = ()
    wchan: str = ""
    stack: tuple[str, ...] = ()
    mark: str | None = None
    writes: bool = False  # it is inside a write to a module parameter
    unread: bool = False  # its command line, and with it its mark, was left out: reading it could hang


@dataclass(frozen=True)
class Snapshot:
    """A host at one moment; `uptime` in seconds is its clock."""

    uptime: float
    boot_id: str
    kernel: str
    load1: float
    cpu_ticks: int
    iowait_ticks: int
    dmi: Dmi
    ipmitool: bool
    had_bmc: bool
    processes: tuple[ProcessLine, ...]
    interfaces: dict[str, dict[str, str]]
    modules: dict[str, Module]
    builtin: frozenset[str]
    devices: tuple[DeviceNode, ...]
    holders: tuple[Holder, ...]
    throttle_us: int | None
    parameter_write_hangs: bool


@dataclass
class _Sections:
    plain: dict[str, list[str]] = field(default_factory=dict)
    interfaces: dict[str, dict[str, str]] = field(default_factory=dict)


def parse(text: str, *, where: str = "") -> Snapshot:
    """A snapshot of what snapshot.sh printed.

    :raises HostAccessError: the text is cut, or lacks or garbles what every host has
    """
    sections = _split(text)
    try:
        if "end" not in sections.plain:
            raise ValueError("it is cut")
        return _snapshot(sections)
    except (KeyError, ValueError, IndexError, OverflowError) as error:
        detail = str(error) if "it is cut" in str(error) else "a part is missing or garbled"
        raise HostAccessError(
            f"the look at /proc gave no usable answer ({detail})",
            where,
            "is /proc mounted, is /bin/sh a POSIX shell?",
        ) from None


def _split(text: str) -> _Sections:
    found = _Sections()
    lines: list[str] = []
    for line in text.split("\n"):
        if not line.startswith("@@ "):
            lines.append(line)
            continue
        name, _, argument = line[3:].partition(" ")
        lines = []
        if name == "interface" and _INTERFACE.fullmatch(argument):
            # The same interface comes from /sys and from /proc/ipmi on old kernels.
            lines = found.plain.setdefault(f"interface {argument}", [])
            found.interfaces[argument] = {}
        else:
            found.plain.setdefault(name, lines)
    for interface in found.interfaces:
        found.interfaces[interface] = _pairs(found.plain[f"interface {interface}"])
    return found


def _snapshot(sections: _Sections) -> Snapshot:
    plain = sections.plain
    host = _pairs(plain["host"])
    cpu = [int(word) for word in host["cpu"].split()[1:9]]
    parameters = _pairs(plain.get("parameters", []))
    return Snapshot(
        uptime=_positive(host["uptime"].split()[0]),
        boot_id=host["boot_id"],
        kernel=host["kernel"],
        load1=_positive(host["load"].split()[0]),
        cpu_ticks=sum(cpu),
        iowait_ticks=cpu[4],
        dmi=Dmi(
            uuid=host.get("product_uuid", "").lower(),
            serial=host.get("product_serial", ""),
            vendor=host.get("sys_vendor", ""),
            product=host.get("product_name", ""),
            bios_version=host.get("bios_version", ""),
            board_serial=host.get("board_serial", ""),
        ),
        ipmitool="ipmitool" in host,
        had_bmc="had_bmc" in host,
        processes=tuple(_processes(plain)),
        interfaces=sections.interfaces,
        modules={module.name: module for module in _modules(plain.get("modules", []))},
        builtin=frozenset(line.strip() for line in plain.get("builtin", []) if line.strip()),
        devices=tuple(_devices(plain)),
        holders=tuple(_holders(plain.get("holders", []))),
        throttle_us=_throttle(parameters.get("throttle")),
        parameter_write_hangs="writing" in parameters,
    )


def _processes(plain: dict[str, list[str]]) -> Iterator[ProcessLine]:
    argv = dict(_by_pid(plain.get("cmdline", [])))
    wchan = dict(_by_pid(plain.get("wchan", [])))
    stack = dict(_by_pid(plain.get("stack", [])))
    mark = dict(_by_pid(plain.get("mark", [])))
    unread = {line.strip() for line in plain.get("unread", [])}
    writers = _pairs(plain.get("parameters", [])).get("writing", "").split()
    for line in plain.get("stat", []):
        head, _, rest = line.rpartition(")")
        number, _, comm = head.partition(" (")
        fields = rest.split()
        try:
            pid = int(number)
            # Field numbers of proc(5) minus 3: the first of `fields` is the state.
            yield ProcessLine(
                pid=pid,
                comm=comm[:64],
                state=fields[0],
                kernel_thread=int(fields[1]) == _KTHREADD,
                cpu_ticks=int(fields[11]) + int(fields[12]),
                start_ticks=int(fields[19]),
                argv=tuple("\n".join(argv.get(pid, [])).strip("\x1f\n").split("\x1f"))
                if argv.get(pid)
                else (),
                wchan=(wchan.get(pid) or [""])[0].strip()[:64],
                stack=tuple(_frame(frame) for frame in stack.get(pid, []) if frame.startswith("[<")),
                mark=next((entry.partition("=")[2][:200] for entry in mark.get(pid, [])), None),
                writes=number in writers,
                unread=number in unread,
            )
        except (ValueError, IndexError):
            continue  # it ended while it was read, or its name is odd


def _by_pid(lines: list[str]) -> Iterator[tuple[int, list[str]]]:
    """What `head` printed of /proc/PID/FILE for several PIDs."""
    current: list[str] | None = None
    for line in lines:
        header = _HEADER.fullmatch(line)
        if header:
            current = []
            yield int(header[1]), current
        elif current is not None and line:
            current.append(line)


def _frame(line: str) -> str:
    """`[<0>] do_select+0x1f/0x30 [module]` without the address."""
    return line.partition("] ")[2].strip()[:120]


def _modules(lines: list[str]) -> Iterator[Module]:
    for line in lines:
        words = line.split()
        if len(words) < 5 or not words[2].lstrip("-").isdecimal():
            continue
        users = tuple(user for user in words[3].split(",") if user not in ("", "-", "[permanent]"))
        yield Module(words[0], int(words[2]), users, words[4])


def _devices(plain: dict[str, list[str]]) -> Iterator[DeviceNode]:
    majors = {line.split()[0] for line in plain.get("majors", []) if line.split()}
    for line in plain.get("nodes", []):
        at = line.find("/dev/ipmi")
        if at > 0:
            node = _NODE.fullmatch(line[:at])
            yield DeviceNode(line[at:].partition(" -> ")[0], bool(node and node[1] in majors))


def _holders(lines: list[str]) -> Iterator[Holder]:
    for line in lines:
        words = line.split(" ", 2)
        if len(words) == 3 and words[0].isdecimal() and len(words[0]) < 10:
            yield Holder(int(words[0]), words[2][:64], words[1])


def _throttle(text: str | None) -> int | None:
    """`kipmid_max_busy_us` is a list, one number for each interface, empty as long as nobody set it."""
    if text is None:
        return None
    numbers = [int(word) for word in text.split(",") if word.strip().isdecimal() and len(word) < 12]
    return max(numbers, default=0)


def _pairs(lines: list[str]) -> dict[str, str]:
    return {
        key.strip(): value.strip()[:200]
        for key, separator, value in (line.partition("=") for line in lines)
        if separator
    }


def _positive(text: str) -> float:
    number = float(text)
    if not 0 <= number < 1e12:
        raise ValueError("not a time or a load")
    return number
