"""A host that is pretended: the modules, devices and answers that a guest has shown, without its kernel.

Stands in for HostAccess where a rung decides (a rmmod in D, EAGAIN for 15 s, a built-in driver, a
driver that gave up); the real thing is tried in tests/guest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest

from bmc_healer.host.access import Result
from bmc_healer.host.facts import HostFacts
from bmc_healer.host.observe import facts
from bmc_healer.host.procfs import parse
from bmc_healer.rungs.outcome import DeedRefusedError

OK = Result(0, "", "", 0.1)
EAGAIN = Result(1, "", "rmmod: ERROR: could not remove 'x': Resource temporarily unavailable\n", 0.3)
STUCK = Result(None, "", "", 29.0, unkillable=True)
LATE = Result(None, "", "", 29.0)
PARAMS = "kcs,i/o,0xca2,rsp=1,rsi=1,rsh=0,irq=0,ipmb=32"

Answer = Result | Callable[["Pretended"], Result]


@dataclass
class Pretended:
    """Modules as {name: (references, users)}; `answers` by the start of a command, the last one repeats."""

    modules: dict[str, tuple[int, str]] = field(
        default_factory=lambda: {
            "acpi_ipmi": (0, ""),
            "ipmi_devintf": (0, ""),
            "ipmi_si": (1, ""),
            "ipmi_msghandler": (3, "acpi_ipmi,ipmi_devintf,ipmi_si"),
        }
    )
    builtin: str = ""
    interface: bool = True
    nodes: list[str] = field(default_factory=lambda: ["246 /dev/ipmi0"])
    kipmi: bool = True
    holders: list[str] = field(default_factory=list)
    throttle: str | None = ""
    writing: bool = False
    completed: int = 20
    answers: dict[str, list[Answer]] = field(default_factory=dict)
    ran: list[str] = field(default_factory=list)
    now: float = 0.0
    name: str = "db01"
    privileged: bool = True
    ipmitool: bool = True
    extra: list[str] = field(default_factory=list)
    log: str | None = ""  # of the kernel; None: may not be read
    thread: str = "kipmi0"

    def run(self, argv: Sequence[str], **options) -> Result:
        if "stdin" in options and "@@ host" in options["stdin"]:
            return Result(0, self.snapshot(), "", 0.1)
        if argv == ["dmesg"]:
            return Result(1, "", "", 0.1) if self.log is None else Result(0, self.log, "", 0.1)
        command = " ".join(argv) if argv[:2] != ["sh", "-c"] else " ".join(("write", *argv[4:]))
        command = command.replace("/sbin/", "").replace("/sys/module/ipmi_si/parameters/", "")
        self.ran.append(command)
        self.options = options
        for start, answers in self.answers.items():
            if command.startswith(start):
                answer = answers.pop(0) if len(answers) > 1 else answers[0]
                return answer(self) if callable(answer) else answer
        return self.obey(command)

    def obey(self, command: str) -> Result:
        verb, _, name = command.partition(" ")
        if verb == "rmmod":
            self.modules.pop(name, None)
            if name == "ipmi_si":
                self.interface, self.kipmi, self.nodes = False, False, []
            self.modules = {
                key: (count, ",".join(user for user in users.split(",") if user != name))
                for key, (count, users) in self.modules.items()
            }
        elif verb == "modprobe" and name not in self.modules:
            self.modules[name] = (0, "")
            if name == "ipmi_devintf" and "ipmi_si" in self.modules:
                self.interface, self.kipmi, self.nodes = True, True, ["246 /dev/ipmi0"]
        elif verb == "rm":
            self.nodes = []
        elif "remove," in command:
            self.interface, self.kipmi, self.nodes = False, False, []
        elif "add," in command:
            self.interface, self.kipmi, self.nodes = True, True, ["246 /dev/ipmi0"]
        return OK

    def snapshot(self) -> str:
        lines = ["@@ host", "boot_id=b", "kernel=6.1.0", "load=1 1 1", "cpu=cpu  1 1 1 1 1 1 1 1"]
        lines += [
            "had_bmc=1",
            f"uptime={1000 + self.now}",
            *(["ipmitool=1"] if self.ipmitool else []),
            "@@ stat",
        ]
        if self.kipmi:
            lines.append(f"101 ({self.thread}) S 2 0 0 0 -1 0 0 0 0 0 0 5 0 0 39 19 1 0 240 0 0")
        lines += self.extra
        if self.interface:
            lines += ["@@ interface ipmi0", f"params={PARAMS}", f"complete_transactions={self.completed}"]
            lines += ["short_timeouts=1", "long_timeouts=1", "hosed_count=0"]
        lines.append("@@ modules")
        for name, (count, users) in self.modules.items():
            state = "Unloading" if count < 0 else "Live"
            lines.append(f"{name} 4096 {count} {users + ',' if users else '-'} {state} 0x0")
        lines += ["@@ builtin", *self.builtin.split(), *self.modules, "@@ majors", "246 ipmidev", "@@ nodes"]
        for node in self.nodes:
            major, path = node.split()
            lines.append(f"crw------- 1 0 0 {major}, 0 Nov 21 11:41 {path}")
        lines += ["@@ holders", *self.holders, "@@ parameters"]
        lines += ["writing=1"] if self.writing else []
        lines += [f"throttle={self.throttle}"] if self.throttle is not None and not self.writing else []
        return "\n".join([*lines, "@@ end", ""])

    def facts(self) -> HostFacts:
        return facts([parse(self.snapshot())], privileged=True, now=0.0)

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None


def stopped_at_the_third(go: Callable[..., object], host: Pretended) -> list[int]:
    """How many commands had run each time `may_send` was asked; the third time it refuses."""
    asked: list[int] = []

    def may_send() -> None:
        asked.append(len(host.ran))
        if len(asked) == 3:
            raise DeedRefusedError("paused")

    with pytest.raises(DeedRefusedError):
        go(host, may_send=may_send)
    return asked
