"""A /proc and a /sys as a host with a hung BMC shows them, as plain files: kernel threads cannot be made."""

from __future__ import annotations

from pathlib import Path


class FakeProc:
    """:param root: an empty folder; `proc` and `sys` are made in it."""

    def __init__(self, root: Path) -> None:
        self.proc, self.sys = root / "proc", root / "sys"
        self.write("sys/kernel/random/boot_id", "b00b00b0-0000-0000-0000-000000000000\n")
        self.write("sys/kernel/osrelease", "6.1.0-56-amd64\n")
        self.write("uptime", "1000.50 1900.00\n")
        self.write("loadavg", "3.14 2.00 1.00 2/99 4242\n")
        self.write("stat", "cpu  100 1 200 3000 40 5 6 7 0 0\ncpu0 1 2 3\n")

    def write(self, name: str, text: str) -> None:
        path = self.proc / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def process(
        self,
        pid: int,
        name: str,
        *argv: str,
        state: str = "S",
        parent: int = 1,
        cpu: tuple[int, int] = (0, 0),
        start: int = 40_000,
        wchan: str = "do_select",
    ) -> None:
        """A process; `cpu` are utime and stime, all times in ticks."""
        self.write(f"{pid}/comm", f"{name}\n")
        middle = "0 0 0 -1 0 0 0 0 0"
        self.write(
            f"{pid}/stat",
            f"{pid} ({name}) {state} {parent} {middle} {cpu[0]} {cpu[1]} 0 0 20 0 1 0 {start} 0\n",
        )
        self.write(f"{pid}/wchan", wchan)
        self.write(f"{pid}/cmdline", "".join(f"{word}\0" for word in argv))

    def end(self, pid: int) -> None:
        for file in (self.proc / str(pid)).iterdir():
            file.unlink()
        (self.proc / str(pid)).rmdir()

    def interface(self, name: str, completed: int, short: int, long: int, hosed: int) -> None:
        """One interface of ipmi_si in sysfs."""
        device = self.sys / "class/ipmi" / name / "device"
        device.mkdir(parents=True, exist_ok=True)
        values = (("complete_transactions", completed), ("short_timeouts", short), ("long_timeouts", long))
        for attribute, value in (*values, ("hosed_count", hosed)):
            (device / attribute).write_text(f"{value}\n")

    def si_stats(self, number: int, completed: int, short: int, long: int, hosed: int) -> None:
        """The same on kernels that have it in /proc."""
        rows = [f"interrupts_enabled:    0\nshort_timeouts:       {short}\nlong_timeouts:        {long}\n"]
        rows += [f"complete_transactions: {completed}\nhosed_count:          {hosed}\n"]
        self.write(f"ipmi/{number}/si_stats", "".join(rows))
