"""Microbenchmarks of what is done thousands of times: `pytest bench`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bmc_healer.bmc import rmcp
from bmc_healer.bmc.address import socket_address
from bmc_healer.config.inventory import Inventory
from bmc_healer.config.load import from_dict
from bmc_healer.config.settings import WatchSettings
from bmc_healer.host.programs import classify
from bmc_healer.verbs.begin_heal import begin_heal
from bmc_healer.verbs.runtime import Runtime
from bmc_healer.watch.local import LocalProbe
from bmc_healer.watch.oob import LanPatient, swept
from bmc_healer.watch.snapshot import Hello, parse_snap
from lab.fleet import Fleet, addresses

Benchmark = Callable[..., Any]
SNAP = (
    "snap 7 4533.81 3.29 432852 1564 96851 372432 1501 0 99 0 1 k:55:300:9003:kipmi0 c:900:400:S:b:ipmitool:x"
)


@pytest.fixture(scope="module")
def inventory(tmp_path_factory: pytest.TempPathFactory) -> Inventory:
    """Ten thousand hosts in a file."""
    file: Path = tmp_path_factory.mktemp("fleet") / "hosts.csv"
    lines = (f"host{n},10.{n >> 8}.{n & 255}.1,r{n // 40}\n" for n in range(10_000))
    file.write_text("host,address,labels.rack\n" + "".join(lines))
    return Inventory(
        from_dict({"mode": "observe", "inventory": str(file)}, origin="bench", plain_secrets=True)
    )


def answer(sequence: int) -> bytes:
    """A BMC's answer to Get Channel Authentication Capabilities."""
    body = bytes((0x20, sequence << 2, 0x38, 0)) + bytes.fromhex("0115040000000000")
    message = bytes.fromhex("811c63") + body + bytes((-sum(body) & 0xFF,))
    return bytes.fromhex("0600ff07") + bytes(9) + bytes((len(message),)) + message


def test_parse_an_answer(benchmark: Benchmark) -> None:
    assert benchmark(rmcp.parse_alive, answer(7)) == 7


def test_check_an_address(benchmark: Benchmark) -> None:
    assert benchmark(socket_address, "10.1.0.5", 623)[1] == ("10.1.0.5", 623)


def test_a_bmc_after_a_sweep(benchmark: Benchmark) -> None:
    patient, _ = swept(LanPatient(), True, WatchSettings(), 1.0)
    assert benchmark(swept, patient, True, WatchSettings(), 2.0)[0].answered


def test_parse_a_snapshot(benchmark: Benchmark) -> None:
    assert benchmark(parse_snap, SNAP, 7, Hello(100, "boot", "6.1"), "db01").client_count == 1


def test_classify_a_client(benchmark: Benchmark) -> None:
    argv = ["ipmitool", "-I", "lanplus", "-H", "10.1.0.5", "mc", "info"]
    assert not benchmark(classify, "ipmitool", argv).inband


def test_look_at_this_machine(benchmark: Benchmark) -> None:
    assert benchmark(LocalProbe().sample).at > 0


def test_find_a_host_of_10000(benchmark: Benchmark, inventory: Inventory) -> None:
    assert benchmark(inventory.host, "host7777").labels == {"rack": "r194"}


def test_open_an_inventory_of_10000(benchmark: Benchmark, inventory: Inventory) -> None:
    """What an action does: the index is there already."""
    config = inventory._config
    assert benchmark(lambda: Inventory(config).host("host7777")).name == "host7777"


@dataclass(frozen=True)
class Row:
    """As the datastore lists it."""

    name: str
    value: str


@dataclass
class Memory:
    """A datastore that takes no time; it counts what it is asked."""

    rows: dict[str, str] = field(default_factory=dict)
    calls: int = 0

    def list_values(
        self, local: bool = True, prefix: str | None = None, limit: int | None = None, offset: int = 0
    ) -> list[Row]:
        """One page."""
        self.calls += 1
        found = [Row(name, value) for name, value in self.rows.items() if name.startswith(prefix or "")]
        return found[offset : offset + (limit or 100)]

    def get_value(self, name: str, local: bool = True, *, decrypt: bool = False) -> str | None:
        """A secret."""
        self.calls += 1
        return self.rows.get(name)

    def set_value(self, name: str, value: str, ttl: int | None = None, local: bool = True) -> bool:
        """For ever."""
        self.calls += 1
        self.rows[name] = value
        return True

    def delete_value(self, name: str, local: bool = True) -> bool:
        """Whether there was one."""
        self.calls += 1
        return self.rows.pop(name, None) is not None


class Clock:
    """Of an engine, as far as begin_heal asks for more than that."""

    def server_time(self) -> float:
        """That of this machine."""
        return time.time()

    def busy(self, action: str) -> tuple[()]:
        """Nothing."""
        return ()


class Here(Runtime):
    """Without an engine's API."""

    def _executions(self) -> Any:
        return Clock()


@pytest.fixture
def fleet() -> Iterator[Fleet]:
    """BMCs that answer."""
    with Fleet() as fleet:
        yield fleet


def test_begin_a_heal(benchmark: Benchmark, fleet: Fleet) -> None:
    """All before a heal's first command but the waits: for a datastore's answers, and to settle."""
    bmc = {"port": fleet.port, "credential": "bench", "identity": "trust"}
    hosts = {
        f"host{n}": {
            "transport": "none",
            "bmc": {"address": address, **bmc},
            "labels": {"rack": f"r{n // 40}"},
        }
        for n, address in enumerate(addresses(200))
    }
    credentials = {"bench": {"username": "admin", "password": "secret"}}
    config = {"mode": "auto", "hosts": hosts, "credentials": credentials}
    calls = []

    def begin() -> dict[str, Any]:
        store = Memory()
        rt = Here(config, store, environ={}, sleep=lambda seconds: None)
        told = begin_heal(rt, {"host": "host77", "force": True, "reason": "a bench"})
        calls.append(store.calls)
        return told

    told = benchmark(begin)
    assert told["next"] == "diagnose", told
    benchmark.extra_info["datastore calls"] = calls[-1]  # type: ignore[attr-defined]
