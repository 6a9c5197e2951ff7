"""The look at a host's processes beside its peers; in a PID namespace, where their number is known."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from importlib import resources
from pathlib import Path

from bench.measure import Bound, Cost, Row, client, compiled, cpu_of, hand_over, least, memory_of, run, say

PACKAGES = {
    "dash": "/bin/dash",
    "bash": "/bin/bash",
    "busybox-static": "/bin/busybox",
    "procps": "/usr/bin/top",
    "util-linux": "/usr/bin/unshare",
}
COUNTS = (100, 700, 5000)
OURS = "bmc_healer local probe"
SHELLS = {"dash": ["dash"], "busybox": ["busybox", "ash"], "bash": ["bash", "--posix"]}
POLLS = 32  # twice as many as a name is trusted for


def main() -> None:
    """Measure, and print rows and bounds."""
    rows = [row for count in COUNTS for row in looks(count)]
    hand_over(rows, bounds(rows))


def looks(count: int) -> Iterator[Row]:
    """Every way of looking, at so many processes."""
    say(f"{count} processes")
    ways: list[tuple[str, Callable[[], Cost], str]] = [
        (OURS, lambda: client("probe"), "names, states, driver counters"),
        ("psutil.process_iter, names only", lambda: client("psutil_poll", "name"), ""),
        ("psutil.process_iter, full", lambda: client("psutil_poll", "full"), ""),
        (
            "ps -eo pid,stat,time,comm",
            lambda: run(["ps", "-eo", "pid,stat,time,comm"])[0],
            "a process each time",
        ),
        ("top -b -n 1", lambda: run(["top", "-b", "-n", "1"])[0], "a process each time"),
    ]
    with crowd(count):
        for who, look, note in ways:
            yield Row("local", who, count, least(look), note)
        for name, argv in SHELLS.items():
            yield Row("loop", f"loop.sh, {name}", count, least(partial(loop, argv)), "on the watched host")


@contextlib.contextmanager
def crowd(count: int) -> Iterator[None]:
    """So many processes in all, those that are there already included."""
    there = sum(1 for _ in Path("/proc").glob("[0-9]*")) + 3  # itself, and what measures
    argv = [compiled("crowd"), str(count - there)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin and process.stdout  # noqa: S101 - pipes
        process.stdout.readline()
        yield
        process.stdin.close()


def loop(argv: list[str]) -> Cost:
    """CPU of one answer of the watching loop, over two rounds of its memory of names."""
    script = resources.files("bmc_healer.watch").joinpath("loop.sh").read_text()
    pipe = subprocess.PIPE
    with subprocess.Popen([*argv, "-c", script], stdin=pipe, stdout=pipe, text=True, bufsize=1) as process:
        assert process.stdin and process.stdout  # noqa: S101 - pipes
        process.stdout.readline()
        spent = 0.0
        for number in range(POLLS + 3):
            process.stdin.write(f"{number}\n")
            process.stdout.readline()
            if (
                number == 2
            ):  # the first two read every name, and the answer comes before the last turn is over
                spent = cpu_of(process.pid)
        cost = Cost((cpu_of(process.pid) - spent) / POLLS, None, memory_of(process.pid))
        process.stdin.close()
    return cost


def bounds(rows: list[Row]) -> list[Bound]:
    """What is promised of a look, in milliseconds."""
    cost = {(row.who, row.count): row.cost.cpu * 1000 for row in rows}
    shells = [
        Bound(f"CPU of loop.sh, 700 processes, {name}", cost[f"loop.sh, {name}", 700], 10, "ms")
        for name in SHELLS
    ]
    return [
        Bound("CPU of a local look, 700 processes", cost[OURS, 700], 2, "ms"),
        Bound("CPU of a local look, 5000 processes", cost[OURS, 5000], 8, "ms"),
        *shells,
    ]


if __name__ == "__main__":
    main()
