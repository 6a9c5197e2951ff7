"""Sweeps of 10,000 BMCs through slow, lossy, disorderly and hostile networks: nobody is dead by mistake."""

import pytest

from bmc_healer.bmc import ping
from bmc_healer.bmc.ping import sweep
from lab.fleet import Fleet, addresses

SILENT = 20  # every twentieth
BAD_NETWORKS = {
    "small buffer": {},
    "5 ms": {"delay": 5_000},
    "2 % lost": {"loss": 20},
    "out of order": {"jitter": 30_000},
    "twice": {"twice": 500},
    "from elsewhere": {"stranger": 500},
    "malformed": {"broken": 500},
    "all of it": {
        "delay": 5_000,
        "jitter": 30_000,
        "loss": 20,
        "twice": 200,
        "stranger": 200,
        "broken": 200,
    },
}


@pytest.fixture(autouse=True)
def small_buffer(monkeypatch):
    """net.core.rmem_default: the kernel doubles what is asked for, to 212,992 bytes."""
    monkeypatch.setattr(ping, "_RECEIVE_BUFFER", 106_496)


@pytest.mark.parametrize("network", BAD_NETWORKS)
def test_no_false_death(network):
    with Fleet(**BAD_NETWORKS[network]) as fleet:
        found = sweep([(address, fleet.port) for address in addresses(10_000)], timeout=0.5)
    assert (len(found.alive), found.dark) == (10_000, frozenset())


@pytest.mark.parametrize("network", ["small buffer", "all of it"])
def test_no_false_life(network):
    """A silent BMC stays dark whatever comes in its place."""
    with Fleet(silent=SILENT, **BAD_NETWORKS[network]) as fleet:
        found = sweep([(address, fleet.port) for address in addresses(10_000)], timeout=0.5)
    silent = {address for address in addresses(10_000) if _number(address) % SILENT == 0}
    assert {address for address, _ in found.dark} == silent


def _number(address):
    _, *rest = (int(part) for part in address.split("."))
    return rest[0] << 16 | rest[1] << 8 | rest[2]


def test_ten_times_as_many():
    with Fleet() as fleet:
        assert not sweep([(address, fleet.port) for address in addresses(100_000)]).dark
