"""The look at SSH hosts beside its peers, all on one sshd; counted is the client."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.measure import BenchError, Bound, Cost, Row, client, cpu_of, hand_over, memory_of, middle, run, say
from bench.sshd import Server, sshd

PACKAGES = {"openssh-server": "/usr/sbin/sshd", "openssh-client": "/usr/bin/ssh"}
OURS = "bmc_healer SSH probe"
HOSTS = 300


def main() -> None:
    """Measure, and print rows and bounds."""
    with tempfile.TemporaryDirectory() as folder, sshd(Path(folder)) as server:
        rows, login = ours(server)
        rows += peers(server)
    cpu = next(row.cost.cpu for row in rows if (row.who, row.count) == (OURS, HOSTS)) / HOSTS
    promised = [
        Bound("CPU of a look at one SSH host", cpu * 1000, 0.5, "ms"),
        Bound("10,000 hosts a minute: CPU", cpu * 10_000, 60, "s"),
        Bound("10,000 logins after a restart: CPU", login * 10_000, 300, "s"),
    ]
    hand_over(rows, promised)


def ours(server: Server) -> tuple[list[Row], float]:
    """Rows, and the CPU seconds of a login."""
    rows, login = [], 0.0
    for count in (1, 10, 100, HOSTS):
        say(f"{OURS}, {count} hosts")
        argv = [sys.executable, "-m", "bench.clients.channels", str(count), *_reach(server)]
        told = json.loads(run(argv)[1].splitlines()[-1])
        login = told["login"]
        more = f"a channel takes {told['each']:.0f} KiB, its login {login * 1000:.1f} ms of CPU"
        note = more if count == HOSTS else ""
        rows.append(Row("ssh", OURS, count, Cost(told["cpu"], told["wall"], told["mib"]), note))
    return rows, login


def peers(server: Server) -> list[Row]:
    """The others, with the cheapest command there is: `true`."""
    rows = []
    for count in (1, 10, 50):
        say(f"paramiko, {count} hosts")
        cost = client("paramiko_poll", str(count), *_reach(server))
        rows.append(Row("ssh", "paramiko, connections kept", count, cost, "a command each"))
    for count in (1, 10):
        say(f"openssh, {count} hosts")
        rows.append(Row("ssh", "openssh, ControlMaster", count, mastered(server, count), "a process each"))
        fresh = [run([*server.ssh(), "true"])[0] for _ in range(count)]
        cost = Cost(sum(c.cpu for c in fresh), sum(c.wall or 0 for c in fresh), middle(fresh).mib)
        rows.append(Row("ssh", "openssh", count, cost, "a process and a login each"))
    return rows


def mastered(server: Server, count: int) -> Cost:
    """`ssh` over a kept connection: its CPU and that of the master behind it; the memory is the master's."""
    path = server.folder / "master"
    master = subprocess.Popen([*server.ssh("ControlMaster=yes", f"ControlPath={path}"), "-N"])
    try:
        deadline = time.monotonic() + 20
        while not path.exists():
            if master.poll() is not None or time.monotonic() > deadline:
                raise BenchError("ssh's master does not start")
            time.sleep(0.05)
        before = cpu_of(master.pid)
        over = [run([*server.ssh(f"ControlPath={path}"), "true"])[0] for _ in range(count)]
        cpu = sum(c.cpu for c in over) + cpu_of(master.pid) - before
        return Cost(cpu, sum(c.wall or 0 for c in over), memory_of(master.pid))
    finally:
        master.terminate()
        master.wait()


def _reach(server: Server) -> list[str]:
    return [str(server.port), str(server.folder), server.user]


if __name__ == "__main__":
    main()
