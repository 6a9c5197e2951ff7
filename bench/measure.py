"""What a process costs: CPU seconds, wall seconds and memory; and the rows that a bench consists of."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from lab import state, tools

DATA = Path(__file__).parent / "data"
ROOT = Path(__file__).parents[1]


class BenchError(Exception):
    """A program did not do what it is measured for."""


@dataclass(frozen=True)
class Cost:
    """CPU seconds (user and system), seconds by the clock, largest memory in MiB; None: not measured."""

    cpu: float
    wall: float | None = None
    mib: float | None = None


@dataclass(frozen=True)
class Row:
    """What one way of looking costs. `count`: BMCs, processes or hosts; `cost` is that of one look at all."""

    section: str
    who: str
    count: int
    cost: Cost
    note: str = ""


@dataclass(frozen=True)
class Bound:
    """One promise; `limit` is the largest value that keeps it (the smallest where `least`)."""

    what: str
    value: float
    limit: float
    unit: str = ""
    least: bool = False

    @property
    def held(self) -> bool:
        """Whether the promise is kept."""
        return self.value >= self.limit if self.least else self.value <= self.limit


@cache
def compiled(name: str) -> str:
    """The path of a small program of ours, `data/NAME.c`."""
    source = DATA / f"{name}.c"
    built = state.state_dir() / f"bench-{name}-{state.digest(files=[source])}"
    if not built.exists():
        tools.ensure({"gcc": "/usr/bin/gcc", "libc6-dev": "/usr/include/stdio.h"})
        tools.run(["gcc", "-O2", "-Wall", "-o", str(built), str(source)])
    return str(built)


def run(argv: Sequence[str], *, stdin: str = "") -> tuple[Cost, str]:
    """A command, with everything it starts and waits for: what it costs and what it says.

    :raises BenchError: it fails
    """
    with tempfile.NamedTemporaryFile("r") as report:
        done = subprocess.run(
            [compiled("cost"), report.name, *argv], input=stdin, capture_output=True, text=True, check=False
        )
        words = report.read().split()
    if len(words) != 5 or words[4] != "0":
        raise BenchError(f"{' '.join(argv)[:200]} failed: {(done.stderr or done.stdout).strip()[-500:]}")
    user, system, wall, kib = (float(word) for word in words[:4])
    return Cost(user + system, wall, kib / 1024), done.stdout


def client(name: str, *arguments: str) -> Cost:
    """A script of `bench/clients`: what it says one look costs once it is running.

    :raises BenchError: it fails
    """
    whole, out = run([sys.executable, "-m", f"bench.clients.{name}", *arguments])
    told = json.loads(out.splitlines()[-1])
    return Cost(told["cpu"], told["wall"], told.get("mib", whole.mib))


def cpu_of(pid: int) -> float:
    """CPU seconds of a process so far, all its threads, to the microsecond."""
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


def memory_of(pid: int, what: str = "VmRSS") -> float:
    """MiB of a process: VmRSS now, VmHWM at most."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition(f"{what}:")[2].split()[0]) / 1024


def middle(costs: Sequence[Cost]) -> Cost:
    """The median of CPU and wall, each by itself; the largest memory."""
    walls = [cost.wall for cost in costs if cost.wall is not None]
    memory = [cost.mib for cost in costs if cost.mib is not None]
    return Cost(
        statistics.median(cost.cpu for cost in costs),
        statistics.median(walls) if walls else None,
        max(memory, default=None),
    )


def least(measure: Callable[[], Cost]) -> Cost:
    """The cheapest of five: what others do on a shared machine adds to a cost, and takes nothing away."""
    return min((measure() for _ in range(5)), key=lambda cost: cost.cpu)


def say(text: str) -> None:
    """Progress, for whoever waits."""
    print(f"bench: {text}", file=sys.stderr, flush=True)


def hand_over(rows: Sequence[Row], bounds: Sequence[Bound]) -> None:
    """A section's last act: its results to the process that started it."""
    print(json.dumps({"rows": [asdict(row) for row in rows], "bounds": [asdict(b) for b in bounds]}))


def alone() -> list[str]:
    """The words before a command that has PIDs and a /proc of its own; `-n` behind them: a network, too."""
    user = [] if os.geteuid() == 0 else ["-r"]
    return ["unshare", *user, "-p", "-f", "--mount-proc", "--kill-child"]


def section(name: str, *before: str, arguments: Sequence[str] = ()) -> tuple[list[Row], list[Bound]]:
    """Run `bench.NAME` in a process of its own, behind the words `before` (`unshare ...`).

    :raises BenchError: it fails; it has said why
    """
    argv = [*before, sys.executable, "-m", f"bench.{name}", *arguments]
    done = subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=False, cwd=ROOT)
    if done.returncode != 0:
        raise BenchError(f"the section {name} failed")
    told = json.loads(done.stdout.splitlines()[-1])
    rows = [Row(**{**row, "cost": Cost(**row["cost"])}) for row in told["rows"]]
    return rows, [Bound(**bound) for bound in told["bounds"]]
