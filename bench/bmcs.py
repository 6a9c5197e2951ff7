"""The BMC sweep beside its peers, all on one fleet; in a network namespace, where UDP 623 is free."""

from __future__ import annotations

import fcntl
import json
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench.measure import (
    ROOT,
    BenchError,
    Bound,
    Cost,
    Row,
    client,
    cpu_of,
    hand_over,
    memory_of,
    middle,
    run,
    say,
)
from bmc_healer.bmc import ping
from lab.fleet import PASSWORD, USER, Fleet, addresses

PACKAGES = {
    "ipmitool": "/usr/bin/ipmitool",
    "freeipmi-tools": "/usr/sbin/bmc-info",
    "freeipmi-ipmidetect": "/usr/sbin/ipmidetectd",
    "util-linux": "/usr/bin/unshare",
}
PORT = 623  # ipmidetectd knows no other
FLEET = 10_000
OURS, WATCH = "bmc_healer sweep", "bmc_healer watch process, per round"
DAEMON = "FreeIPMI ipmidetectd"
MOST_MIB = round(45e6 / 2**20, 1)  # 45 MB are promised of the watch process
LOGIN = ["-u", USER, "-p", PASSWORD]
BAD_NETWORKS: dict[str, dict[str, int]] = {
    "5 ms late": {"delay": 5_000},
    "2 % lost": {"loss": 20},
    "out of order": {"jitter": 30_000},
    "twice": {"twice": 500},
    "from the wrong address": {"stranger": 500},
    "malformed": {"broken": 500},
}


def main() -> None:
    """Measure, and print rows and bounds."""
    loopback_up()
    with Fleet(PORT) as fleet:
        ours = [Row("bmc", OURS, count, sweeps(count)) for count in (100, 1000, FLEET, 10 * FLEET)]
        alone = Cost(*_one_process(FLEET))
        rows = [*ours, Row("bmc", f"{OURS}, process and all", FLEET, alone), watching(fleet, FLEET)]
        rows += peers(fleet)
    hand_over(rows, [*bounds(rows), *in_bad_networks()])


def loopback_up() -> None:
    """A new network namespace has its loopback down."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        request = struct.pack("16sh14x", b"lo", 0x41)  # IFF_UP | IFF_RUNNING
        fcntl.ioctl(sock, 0x8914, request)  # SIOCSIFFLAGS


def sweeps(count: int) -> Cost:
    """One sweep in a process that sweeps again and again, as the sensor's does."""
    say(f"{OURS}, {count} BMCs")
    return client("sweep", str(count), str(PORT), "7" if count > FLEET else "9")


def _one_process(count: int) -> tuple[float, float | None, float | None]:
    whole, _ = run([sys.executable, "-m", "bench.clients.sweep", str(count), str(PORT), "1"])
    return whole.cpu, whole.wall, whole.mib


def watching(fleet: Fleet, count: int) -> Row:
    """The process behind bmc_sensor with an inventory: CPU of a round, its bookkeeping included."""
    say(f"the watch process, {count} BMCs")
    with tempfile.TemporaryDirectory() as folder:
        inventory = Path(folder) / "hosts.csv"
        lines = [f"host{n},none,{address},r{n // 40}\n" for n, address in enumerate(addresses(count))]
        inventory.write_text("host,transport,bmc.address,labels.rack\n" + "".join(lines))
        config = {
            "mode": "observe",
            "inventory": str(inventory),
            "credentials": {"bench": {"username": USER, "password": PASSWORD}},
            "defaults": {"bmc": {"credential": "bench"}},
            "watch": {"bmc_poll_seconds": 1},
        }
        argv = [sys.executable, "-m", "bmc_healer.watch", "bmc"]
        with subprocess.Popen(
            argv, cwd=ROOT / "lib", stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
        ) as process:
            assert process.stdin is not None  # noqa: S101 - a pipe
            process.stdin.write(json.dumps({"config": config}).encode() + b"\n")
            process.stdin.flush()
            cpu = per_round(fleet, process.pid, count)
            cost = Cost(cpu, None, memory_of(process.pid, "VmHWM"))
            process.stdin.close()
    return Row("bmc", WATCH, count, cost, "states, incidents, mass outage and inventory included")


def per_round(fleet: Fleet, pid: int, count: int, *, rounds: int = 5) -> float:
    """CPU seconds of a daemon for every `count` requests, over some rounds; the first two are not counted."""
    _until(fleet, fleet.requests + 2 * count)
    before, cpu = fleet.requests, cpu_of(pid)
    _until(fleet, before + rounds * count)
    return (cpu_of(pid) - cpu) / (fleet.requests - before) * count


def _until(fleet: Fleet, requests: int) -> None:
    deadline = time.monotonic() + 90
    while fleet.requests < requests:
        if time.monotonic() > deadline:
            raise BenchError("a daemon does not ask the BMCs")
        time.sleep(0.1)


def peers(fleet: Fleet) -> list[Row]:
    """The others, at as many BMCs as take seconds."""

    def freeipmi(argv: list[str], answer: str) -> Callable[[int], Cost]:
        def look(count: int) -> Cost:
            cost, out = run([*argv, "-D", "LAN_2_0", *LOGIN, "-h", host_range(count)])
            if out.count(answer) != count:
                raise BenchError(f"{argv[0]} heard {out.count(answer)} of {count} BMCs: {out[-300:]}")
            return cost

        return look

    bmc_info = freeipmi(["bmc-info", "-F", "64", "--get-device-id"], "Device ID ")
    ipmipower = freeipmi(["ipmipower", "--stat"], ": on")
    table: list[tuple[str, tuple[int, ...], Callable[[int], Cost], str]] = [
        (DAEMON, (100, 1000, FLEET), lambda n: detecting(fleet, n), "no session"),
        ("FreeIPMI ipmipower --stat", (100, 1000), ipmipower, "a session and a descriptor each: not 10,000"),
        ("FreeIPMI bmc-info -F 64", (100, 1000, FLEET), bmc_info, "a session each"),
        ("pyghmi, sessions kept", (10, 100), lambda n: client("pyghmi_poll", "kept", str(n)), ""),
        (
            "pyghmi, login each time",
            (10, 100),
            lambda n: client("pyghmi_poll", "login", str(n)),
            "one after another",
        ),
        ("ipmitool -I lanplus", (10, 100), ipmitool, "a process and a session each, one after another"),
    ]
    rows = []
    for who, counts, look, note in table:
        for count in counts:
            say(f"{who}, {count} BMCs")
            rows.append(Row("bmc", who, count, look(count), note))
    return rows


def ipmitool(count: int) -> Cost:
    """One process for each BMC."""
    argv = ["ipmitool", "-I", "lanplus", "-U", USER, "-P", PASSWORD, "-H"]
    each = [run([*argv, address, "mc", "info"])[0] for address in addresses(count)]
    return Cost(sum(c.cpu for c in each), sum(c.wall or 0 for c in each), middle(each).mib)


def detecting(fleet: Fleet, count: int) -> Cost:
    """FreeIPMI's daemon that pings without a session, as we do."""
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
        file.write("ipmiping_period 1000\n" + "".join(f"host {where}\n" for where in addresses(count)))
        file.flush()
        subprocess.run(["ipmidetectd", "-c", file.name], check=True)
        _until(fleet, fleet.requests + count)  # by then it has forked into the background
        pid = _daemon("ipmidetectd")
        cpu = per_round(fleet, pid, count)
        cost = Cost(cpu, None, memory_of(pid, "VmHWM"))
        subprocess.run(["kill", "-9", str(pid)], check=True)
        while Path(f"/proc/{pid}/stat").exists() and " Z " not in Path(f"/proc/{pid}/stat").read_text():
            time.sleep(0.05)
    return cost


def _daemon(name: str) -> int:
    for entry in Path("/proc").glob("[0-9]*"):
        status = (entry / "stat").read_text()
        if f"({name})" in status and ") Z " not in status:
            return int(entry.name)
    raise BenchError(f"{name} does not run")


def host_range(count: int) -> str:
    """The fleet's first addresses as FreeIPMI writes them."""
    whole, rest = divmod(count, 250)
    parts = [(third, 250) for third in range(whole)] + ([(whole, rest)] if rest else [])
    return ",".join(f"127.10.{third}.[1-{last}]" for third, last in parts)


def in_bad_networks() -> list[Bound]:
    """False deaths through a receive buffer of 212,992 bytes; and how long the dead are waited for."""
    peers = [(address, PORT) for address in addresses(FLEET)]
    promised = []
    with Fleet(PORT, silent=20):
        say("a twentieth is silent")
        started = time.monotonic()
        dark = ping.sweep(peers).dark
        promised.append(Bound(f"wall, {len(dark)} of {FLEET} dead", time.monotonic() - started, 4.6, "s"))
    ping._RECEIVE_BUFFER = 106_496  # the kernel doubles it
    dead = 0
    for name, faults in BAD_NETWORKS.items():
        say(f"a bad network: {name}")
        with Fleet(PORT, **faults):
            dead += len(ping.sweep(peers).dark)
    promised.append(Bound(f"false deaths: {', '.join(BAD_NETWORKS)}", dead, 0))
    return promised


def bounds(rows: list[Row]) -> list[Bound]:
    """What is promised of the sweep, alone and beside the peers (CPU for each BMC)."""
    cost = {(row.who, row.count): row.cost for row in rows}
    ours, ten, watch = cost[OURS, FLEET], cost[OURS, 10 * FLEET], cost[WATCH, FLEET]
    round_of_it = cost[DAEMON, FLEET].cpu / watch.cpu

    def times(who: str, count: int) -> float:
        return cost[who, count].cpu / count / (ours.cpu / FLEET)

    return [
        Bound(f"CPU of a sweep of {FLEET}", ours.cpu, 0.15, "s"),
        Bound(f"CPU of a round of the watch process, {FLEET}", watch.cpu, 0.15, "s"),
        Bound(f"memory of the watch process, {FLEET}", watch.mib or 0, MOST_MIB, "MiB"),
        Bound("wall, all live", ours.wall or 0, 1.0, "s"),
        Bound("wall of ten times as many", (ten.wall or 0) / (ours.wall or 1), 12, "times"),
        Bound("CPU of ten times as many", ten.cpu / ours.cpu, 12, "times"),
        Bound("less CPU than ipmitool -I lanplus", times("ipmitool -I lanplus", 100), 1000, "times", True),
        Bound("less CPU than bmc-info", times("FreeIPMI bmc-info -F 64", 1000), 30, "times", True),
        Bound("less CPU than ipmidetectd", times(DAEMON, FLEET), 1, "times", True),
        Bound("less CPU than ipmidetectd, a round of the watch process", round_of_it, 1, "times", True),
    ]


if __name__ == "__main__":
    main()
