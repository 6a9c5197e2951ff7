"""Samples of this very machine, read directly: no child process, nothing read that can hang.

The same data as `loop.sh` gives, by the same rules.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from bmc_healer.errors import HostAccessError
from bmc_healer.host.facts import ClientProcess
from bmc_healer.host.programs import classify

from .snapshot import Counters, Sample, Thread

KIPMI = re.compile(r"kipmi\d+$")
CLIENT_NAMES = (
    "ipmi",
    "bmc-",
)  # how the names of those programs begin that `programs.classify` is asked about
KTHREADD = 2  # parent of every kernel thread
DETAILED = 64  # clients that are looked at more closely; a pile is known by its first
# A name that was read twice is trusted for up to so many polls. Between fork and exec a process has its
# parent's name, a pid comes back, a program renames itself; what matters here lives for minutes.
TRUSTED_POLLS = 16
MANY = 2000  # trusted names; where there are more they are trusted twice as long
_MOST = 65536  # bytes that are read of one file: a long command line is known by its beginning


@dataclass
class LocalProbe:
    """Reads this host. `proc` and `sys` are roots for tests.

    Opening the files of all processes is what a look costs. So pids with an uninteresting name are
    remembered: those whose name was read once, and the trusted ones. These are dealt out to `_turns`, and one
    or two of those are read again at every poll.
    """

    proc: Path = Path("/proc")
    sys: Path = Path("/sys")
    hz: int = field(default_factory=lambda: os.sysconf("SC_CLK_TCK"))
    _once: set[str] = field(default_factory=set)
    _trusted: set[str] = field(default_factory=set)
    _turn: int = 0
    _turns: list[set[str]] = field(default_factory=lambda: [set() for _ in range(2 * TRUSTED_POLLS)])

    def sample(self) -> Sample:
        """One look.

        :raises HostAccessError: /proc is not what Linux shows
        """
        kipmi: list[Thread] = []
        clients: list[ClientProcess] = []
        count = 0
        try:
            at = float(self._read("uptime").split()[0])
            for pid, name in self._interesting():
                if (stat := self._stat(pid)) is None:
                    continue
                if not KIPMI.match(name):
                    count += 1
                    if count <= DETAILED:
                        clients.append(self._client(pid, name, stat, at))
                elif int(stat[1]) == KTHREADD:
                    kipmi.append(Thread(int(pid), int(stat[19]), int(stat[11]) + int(stat[12]), name))
            cpu = [int(word) for word in self._read("stat").split("\n", 1)[0].split()[1:9]]
            return Sample(
                at=at,
                hz=self.hz,
                boot_id=self._read("sys/kernel/random/boot_id").strip(),
                kernel=self._read("sys/kernel/osrelease").strip(),
                load1=float(self._read("loadavg").split()[0]),
                cpu_ticks=(sum(cpu), cpu[4]),
                kipmi=tuple(kipmi),
                clients=tuple(clients),
                client_count=count,
                counters=self._counters(),
            )
        except (OSError, ValueError, IndexError) as error:
            raise HostAccessError(f"/proc cannot be read ({error})", "this machine") from None

    def _interesting(self) -> list[tuple[str, str]]:
        """Process ids and names of kipmi threads and IPMI clients, oldest id first."""
        found: list[tuple[str, str]] = []
        present = set(os.listdir(self.proc))  # noqa: PTH208 (Path objects for 5000 pids cost more than the poll)
        before, self._once = self._once, set()
        for _ in range(1 if len(self._trusted) > MANY else 2):
            self._turn = (self._turn + 1) % len(self._turns)
            before |= self._turns[self._turn]
            self._trusted -= self._turns[self._turn]
            self._turns[self._turn].clear()
        for pid in self._trusted - present:  # one that comes back is another process
            self._trusted.remove(pid)
            self._turns[int(pid) % len(self._turns)].remove(pid)
        for pid in present - self._trusted:
            if not pid.isdigit():
                continue
            try:
                name = self._read(f"{pid}/comm").rstrip("\n")
            except OSError:
                continue  # ended meanwhile
            if KIPMI.match(name) or _one_shot(name):
                found.append((pid, name))
            elif pid in before:
                self._trusted.add(pid)
                self._turns[int(pid) % len(self._turns)].add(pid)
            else:
                self._once.add(pid)
        return sorted(found, key=lambda each: int(each[0]))

    def _stat(self, pid: str) -> list[str] | None:
        """Fields of /proc/PID/stat from the state on (proc(5) field 3 is index 0)."""
        try:
            return self._read(f"{pid}/stat").rpartition(") ")[2].split()
        except OSError:
            return None

    def _client(self, pid: str, name: str, stat: list[str], at: float) -> ClientProcess:
        argv: list[str] = []
        if stat[0] != "D":  # in D its memory map may be locked: reading the command line could hang
            with suppress(OSError):
                argv = self._read(f"{pid}/cmdline").split("\0")[:-1]
        program = classify(name, argv)
        return ClientProcess(
            pid=int(pid),
            start_ticks=int(stat[19]),
            program=program.program,
            subcommand=program.subcommand,
            age_seconds=at - int(stat[19]) / self.hz,
            state=stat[0],
            wchan=self._wchan(pid),
            kind=program.kind,
            inband=program.inband,
        )

    def _wchan(self, pid: str) -> str:
        try:
            return self._read(f"{pid}/wchan")
        except OSError:
            return ""

    def _counters(self) -> dict[str, Counters]:
        found: dict[str, Counters] = {}
        names = ("complete_transactions", "short_timeouts", "long_timeouts", "hosed_count")
        for device in self.sys.glob("class/ipmi/ipmi[0-9]*/device"):
            try:
                done, short, long, hosed = (int((device / name).read_text()) for name in names)
            except (OSError, ValueError):
                continue
            found[device.parent.name] = Counters(done, short + long, hosed)
        for stats in self.proc.glob("ipmi/[0-9]*/si_stats"):  # kernels that have no such attributes in sysfs
            try:
                rows = dict(line.split(":", 1) for line in stats.read_text().splitlines() if ":" in line)
                done, short, long, hosed = (int(rows[name]) for name in names)
            except (OSError, ValueError, KeyError):
                continue
            found[f"ipmi{stats.parent.name}"] = Counters(done, short + long, hosed)
        return found

    def _read(self, name: str) -> str:
        """One read without buffers: less than half of what `open` costs."""
        file = os.open(f"{self.proc}/{name}", os.O_RDONLY)
        try:
            return os.read(file, _MOST).decode(errors="replace")
        finally:
            os.close(file)


def _one_shot(name: str) -> bool:
    return name.startswith(CLIENT_NAMES) and classify(name, ()).kind == "client"
