"""soak MINUTES: `bmc-healer run` with 10,000 BMCs and 300 SSH hosts; memory and descriptors must stay flat.

Everything is asked more often than by default, so that half an hour shows what hours would; a fiftieth of all
packets to BMCs is lost, which is no news. In namespaces of its own: `python -m bench soak`.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from bench.bmcs import loopback_up
from bench.measure import BenchError, Bound, Cost, Row, cpu_of, hand_over, memory_of, say
from bench.sshd import Server, sshd
from lab.fleet import PASSWORD, USER, Fleet, addresses

BMCS, SSH_HOSTS = 10_000, 300
WATCH = {"bmc_poll_seconds": 10, "poll_seconds": 30}
SAMPLE_SECONDS = 10.0
WARM = 0.25  # of the run: caches fill, allocators settle
MIB_AN_HOUR = 1.0
COLUMNS = ("host", "address", "transport", "bmc.address", "labels.rack")


@dataclass(frozen=True)
class Sample:
    """One role of the tree of processes at one moment: seconds since the start, MiB, descriptors."""

    at: float
    mib: float
    descriptors: int


def main(minutes: float) -> None:
    """Run it, and print rows and bounds."""
    loopback_up()
    with tempfile.TemporaryDirectory() as name, Fleet(loss=20) as fleet:
        folder = Path(name)
        with sshd(folder) as server:
            config = configuration(folder, server, fleet.port)
            command = str(Path(sys.executable).with_name("bmc-healer"))
            argv = [command, "--config", str(config), "--state-dir", str(folder / "state")]
            with (folder / "run.log").open("w") as log:
                process = subprocess.Popen([*argv, "run"], stdout=log, stderr=log)
            try:
                seen, cpu = watched(process, fleet, minutes * 60, folder / "run.log")
                told = json.loads(
                    subprocess.run([*argv, "--json", "incidents"], capture_output=True, check=True).stdout
                )
            finally:
                process.terminate()
                process.wait(30)
            say(f"the runner's last words: {(folder / 'log').read_text()[-300:]}")
    rows = [
        Row("soak", role, round(each[-1].at / 60), Cost(cpu[role], None, each[-1].mib), journey(each))
        for role, each in sorted(seen.items())
    ]
    hand_over(rows, [*bounds(seen), Bound("incidents", len(told["incidents"]), 0)])


def configuration(folder: Path, server: Server, port: int) -> Path:
    """An inventory of all, the first of which are SSH hosts; one server plays all of these."""
    lines = [",".join(COLUMNS)]
    for number, address in enumerate(addresses(BMCS)):
        way = f"127.0.0.1,ssh,{address}" if number < SSH_HOSTS else f",none,{address}"
        lines.append(f"host{number},{way},r{number // 40}")
    (folder / "hosts.csv").write_text("\n".join(lines) + "\n")
    ssh = {"port": server.port, "user": server.user, "key_file": str(folder / "id")}
    ssh |= {"known_hosts": str(folder / "known_hosts"), "connect_timeout": 60}
    document = {
        "mode": "observe",
        "inventory": str(folder / "hosts.csv"),
        "credentials": {"bench": {"username": USER, "password": PASSWORD}},
        "defaults": {"ssh": ssh, "bmc": {"credential": "bench", "port": port}},
        "watch": WATCH,
    }
    file = folder / "config.yaml"
    file.write_text(json.dumps(document))  # which is YAML, too
    file.chmod(0o600)
    return file


def watched(
    process: subprocess.Popen[bytes], fleet: Fleet, seconds: float, log: Path
) -> tuple[dict[str, list[Sample]], dict[str, float]]:
    """Samples by role, and each role's CPU seconds."""
    start, seen = time.monotonic(), dict[str, list[Sample]]()
    cpu: dict[str, float] = {}
    requests = fleet.requests
    while (now := time.monotonic() - start) < seconds:
        if process.poll() is not None:
            raise BenchError(f"bmc-healer run has ended: {log.read_text()[-500:]}")
        roles: dict[str, list[int]] = {}
        for pid in tree(process.pid):
            roles.setdefault(role_of(pid), []).append(pid)
        for role, pids in roles.items():
            mib = sum(_safely(memory_of, pid) for pid in pids)
            descriptors = sum(int(_safely(_descriptors, pid)) for pid in pids)
            if mib:
                seen.setdefault(role, []).append(Sample(now, mib, descriptors))
                cpu[role] = sum(_safely(cpu_of, pid) for pid in pids)
        if len(seen[next(iter(seen))]) % 30 == 1:
            last = ", ".join(
                f"{role} {each[-1].mib:.1f} MiB {each[-1].descriptors}" for role, each in seen.items()
            )
            say(f"{now / 60:.0f} minutes, {fleet.requests - requests:,} packets: {last}")
        time.sleep(SAMPLE_SECONDS)
    return {role: each for role, each in seen.items() if len(each) > seconds / SAMPLE_SECONDS / 2}, cpu


def tree(pid: int) -> list[int]:
    """A process and all below it."""
    found = [pid]
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in _safely_text(children).split():
            found += tree(int(child))
    return found


def role_of(pid: int) -> str:
    """The two watches by themselves, the runner with its sensors and all that is short-lived together."""
    words = _safely_text(Path(f"/proc/{pid}/cmdline")).split("\0")
    return f"{words[3]} watch" if words[1:3] == ["-m", "bmc_healer.watch"] else "runner and sensors"


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Theil and Sen's: the median of the slopes between all pairs, which no outlier moves."""
    return statistics.median((b[1] - a[1]) / (b[0] - a[0]) for a, b in combinations(points, 2))


def settled(samples: Sequence[Sample]) -> list[Sample]:
    """Without those of the first part of the run."""
    return [sample for sample in samples if sample.at >= WARM * samples[-1].at]


def bounds(seen: dict[str, list[Sample]]) -> list[Bound]:
    """Flat: no slope of memory to speak of, and not one descriptor more."""
    promised = []
    for role, samples in sorted(seen.items()):
        late = settled(samples)
        growth = slope([(sample.at / 3600, sample.mib) for sample in late])
        promised.append(Bound(f"{role}: memory grows by", growth, MIB_AN_HOUR, "MiB an hour"))
        third = len(late) // 3
        before, after = (
            statistics.median(sample.descriptors for sample in part) for part in (late[:third], late[-third:])
        )
        promised.append(Bound(f"{role}: descriptors gained", after - before, 0))
    return promised


def journey(samples: Sequence[Sample]) -> str:
    """Memory and descriptors at eight moments."""
    picked = [samples[(len(samples) - 1) * step // 7] for step in range(8)]
    return " · ".join(f"{sample.mib:.1f} MiB, {sample.descriptors}" for sample in picked)


def _descriptors(pid: int) -> float:
    return len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208 (names alone)


def _safely(measure: object, pid: int) -> float:
    try:
        return float(measure(pid))  # type: ignore[operator]
    except (OSError, ValueError, IndexError):
        return 0.0  # ended meanwhile


def _safely_text(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""


if __name__ == "__main__":
    main(float(sys.argv[1]))
