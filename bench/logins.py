"""logins COUNT: how long a watch takes to be connected again with so many SSH hosts, and what that costs.

The watch process is the real one, with the real asyncssh and a known_hosts file with a line for each host;
the hosts are stand-ins (`clients/ssh_fleet.py`). A hundred were ill when an earlier watch ended. Every fifth
host is dead, as without power: the queue of its port's listener is full, so the kernel drops what asks for a
connection. In a network namespace of its own: `python -m bench logins`.
"""

from __future__ import annotations

import contextlib
import json
import select
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from bench.bmcs import loopback_up
from bench.measure import ROOT, BenchError, Bound, Cost, Row, cpu_of, hand_over, memory_of, say
from bmc_healer.watch.hysteresis import Incident

PORT, SERVERS = 2222, 2
ILL = 100
DEAD_OF = 5  # one of so many; never the first, nor one that was ill
PATIENCE_SECONDS = 900.0
STEADY_SECONDS = 60.0


def main(count: int) -> None:
    """Measure, and print rows and bounds."""
    loopback_up()
    hosts = {f"host{n:05}": f"127.20.{n // 250}.{n % 250 + 1}" for n in range(count)}
    dead = set(list(hosts)[DEAD_OF - 1 :: DEAD_OF])
    alive = [host for host in hosts if host not in dead]
    ill = alive[:: max(1, len(alive) // ILL)][:ILL]
    with tempfile.TemporaryDirectory() as name, silent_port() as silent:
        folder = Path(name)
        first = first_line(folder, hosts, ill, {host: silent if host in dead else PORT for host in hosts})
        with fleet(folder) as begun, watch(first) as pid:
            start, cpu = time.monotonic(), cpu_of(pid)
            while len(begun) < len(alive):
                if time.monotonic() - start > PATIENCE_SECONDS:
                    raise BenchError(
                        f"{len(begun)} of {len(alive)} hosts are connected after {PATIENCE_SECONDS} s"
                    )
                time.sleep(0.2)
            wall, spent = time.monotonic() - start, cpu_of(pid) - cpu
            say(f"{len(alive)} hosts connected in {wall:.0f} s with {spent:.0f} s of CPU")
            late = max(begun.index(hosts[host]) for host in ill)
            cpu = cpu_of(pid)
            time.sleep(STEADY_SECONDS)
            steady, mib = cpu_of(pid) - cpu, memory_of(pid, "VmHWM")
            again = len(begun) - len(alive)
    rows = [
        Row("logins", "back after a restart", count, Cost(spent, wall, mib), "the whole watch process"),
        Row("logins", "one minute of looks", count, Cost(steady, None, mib), f"{again} connected anew"),
    ]
    promised = [
        Bound(f"SSH channels of {len(alive)} hosts are back, beside {len(dead)} dead ones", wall, 300, "s"),
        Bound("CPU of that", spent, 300, "s"),
        Bound(f"place of the last of {ILL} that were ill", late + 1, 2 * ILL),
        Bound("connections lost and made again", again, 0),
        Bound("CPU of a minute of looks", steady, 60, "s"),
    ]
    hand_over(rows, promised)


@contextlib.contextmanager
def silent_port() -> Iterator[int]:
    """A port of this machine at which connect() hangs."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("0.0.0.0", 0), backlog=0))  # noqa: S104
        port = listener.getsockname()[1]
        waiting = True
        while waiting:  # a queue of 0 takes one or two
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", port))
            waiting = bool(select.select([], [client], [], 0.5)[1])
        yield port


def first_line(
    folder: Path, hosts: dict[str, str], ill: list[str], ports: dict[str, int]
) -> dict[str, object]:
    """What the sensor would say: configuration, and the incidents of before."""
    for name in ("host_key", "id"):
        keygen = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "bench", "-f", str(folder / name)]
        subprocess.run(keygen, check=True)
    key = (folder / "host_key.pub").read_text()
    (folder / "known_hosts").write_text("".join(f"[{where}]:{PORT} {key}" for where in hosts.values()))
    lines = [f"{host},ssh,{where},{ports[host]}\n" for host, where in hosts.items()]
    (folder / "hosts.csv").write_text("host,transport,address,ssh.port\n" + "".join(lines))
    ssh = {"user": "root", "key_file": str(folder / "id")}
    ssh |= {"known_hosts": str(folder / "known_hosts")}
    config = {"mode": "observe", "inventory": str(folder / "hosts.csv"), "defaults": {"ssh": ssh}}
    known = {
        f"incident:{host}": asdict(
            Incident(f"{host}:b00t:1", host, "kipmi.high_cpu", "stuck_counters", True, 1.0, time.time())
        )
        for host in ill
    }
    return {"config": config, "state": known, "share": None}


@contextlib.contextmanager
def fleet(folder: Path) -> Iterator[list[str]]:
    """The hosts; the list grows by the address of each session."""
    begun: list[str] = []
    argv = [sys.executable, "-m", "bench.clients.ssh_fleet", str(PORT), str(folder / "host_key")]
    servers = [
        subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(SERVERS)
    ]

    def listen(server: subprocess.Popen[str]) -> None:
        assert server.stdout is not None  # noqa: S101 - a pipe
        for line in server.stdout:
            begun.append(line.strip())

    for server in servers:
        assert server.stdout is not None  # noqa: S101 - a pipe
        server.stdout.readline()
        threading.Thread(target=listen, args=(server,), daemon=True).start()
    try:
        yield begun
    finally:
        for server in servers:
            server.kill()
            server.wait()


@contextlib.contextmanager
def watch(first: dict[str, object]) -> Iterator[int]:
    """The process behind kipmi_sensor."""
    argv = [sys.executable, "-m", "bmc_healer.watch", "kipmi"]
    with subprocess.Popen(
        argv, cwd=ROOT / "lib", stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    ) as process:
        assert process.stdin is not None  # noqa: S101 - a pipe
        process.stdin.write(json.dumps(first).encode() + b"\n")
        process.stdin.flush()
        yield process.pid
        process.stdin.close()


if __name__ == "__main__":
    main(int(sys.argv[1]))
