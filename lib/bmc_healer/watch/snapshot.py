"""One look at a host, raw: what `loop.sh` prints for an SSH host and `local.py` reads here, as the same data.

Nothing in it is a rate. Two samples make one: see `signature.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from bmc_healer.errors import HostAccessError
from bmc_healer.host.facts import ClientProcess

LINE_LIMIT = 16384  # bytes; 64 clients of at most 80 characters, threads and interfaces fit three times


@dataclass(frozen=True)
class Thread:
    """A kernel thread kipmiN: `ticks` of CPU so far; pid and start (ticks since boot) are its identity."""

    pid: int
    start: int
    ticks: int
    name: str


@dataclass(frozen=True)
class Counters:
    """Counters of one interface of ipmi_si since the driver was loaded."""

    completed: int
    timeouts: int
    hosed: int


@dataclass(frozen=True)
class Sample:
    """One look at a host.

    :param at: uptime of the host in seconds: the clock of every window, unlike ours it does not jump
    :param hz: ticks per second in `kipmi` and `cpu_ticks`
    :param cpu_ticks: total CPU time of all CPUs and, second, the part of it in iowait
    :param client_count: all IPMI clients; `clients` holds the first 64 of them
    """

    at: float
    hz: int
    boot_id: str
    kernel: str
    load1: float
    cpu_ticks: tuple[int, int]
    kipmi: tuple[Thread, ...] = ()
    clients: tuple[ClientProcess, ...] = ()
    client_count: int = 0
    counters: dict[str, Counters] = field(default_factory=dict)


@dataclass(frozen=True)
class Hello:
    """The first line of `loop.sh`: what does not change while the channel lives."""

    hz: int
    boot_id: str
    kernel: str


def parse_hello(line: str) -> Hello | None:
    """The loop's first line; None for a line of something else (a banner of the login shell)."""
    words = line.split()
    if len(words) != 5 or words[:2] != ["hello", "1"] or not words[2].isdigit() or int(words[2]) == 0:
        return None
    return Hello(int(words[2]), words[3][:64], words[4][:128])


def parse_snap(line: str, number: int, hello: Hello, where: str) -> Sample:
    """The answer to request `number`.

    :raises HostAccessError: the line is not such an answer; the channel is of no more use
    """
    words = line.split()
    try:
        if words[0] != "snap" or int(words[1]) != number:
            raise ValueError("not the answer to this request")
        at, load = float(words[2]), float(words[3])
        cpu = [int(word) for word in words[4:12]]
        items = [word.split(":") for word in words[13:]]
        sample = Sample(
            at=at,
            hz=hello.hz,
            boot_id=hello.boot_id,
            kernel=hello.kernel,
            load1=load,
            cpu_ticks=(sum(cpu), cpu[4]),
            kipmi=tuple(
                Thread(int(item[1]), int(item[2]), int(item[3]), item[4]) for item in items if item[0] == "k"
            ),
            clients=tuple(_client(item, at, hello.hz) for item in items if item[0] == "c"),
            client_count=int(words[12]),
            counters={
                item[1]: Counters(int(item[2]), int(item[3]) + int(item[4]), int(item[5]))
                for item in items
                if item[0] == "d"
            },
        )
    except (ValueError, IndexError) as error:
        raise HostAccessError(
            f"the watching loop answered something else than a snapshot ({line[:80]!r}: {str(error)[:80]})",
            where,
            "look whether the login shell prints to its output, or runs another program",
        ) from None
    return sample


def _client(item: list[str], at: float, hz: int) -> ClientProcess:
    """`c:PID:START:STATE:KIND:NAME:WCHAN`."""
    start = int(item[2])
    return ClientProcess(
        pid=int(item[1]),
        start_ticks=start,
        program=item[5],
        subcommand="",
        age_seconds=at - start / hz,
        state=item[3],
        wchan=item[6],
        kind="console" if item[4] == "l" else "client",
        inband=item[4] != "r",
    )
