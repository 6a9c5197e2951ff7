"""Inventory files of ten thousand hosts, one of them with a real (simulated) BMC."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import yaml

from lab.fleet import addresses
from tests.stackstorm.product import HOST

HOSTS = 10_000
RACK = 40
COLUMNS = ("transport", "bmc.address", "bmc.port", "bmc.credential", "bmc.identity", "labels.rack")


def rows(fleet_port: int, sim_port: int, answering: int = HOSTS) -> dict[str, list[Any]]:
    """Name to `COLUMNS`.

    :param fleet_port: where the first `answering` BMCs are; the others are at port 9, and there is nobody
    """
    found = {
        f"h{n:05}": ["none", address, fleet_port if n < answering else 9, "fleet", "trust", f"r{n // RACK}"]
        for n, address in enumerate(addresses(HOSTS - 1))
    }
    found[HOST] = ["none", "127.0.0.1", sim_port, "lab", "trust", "lab"]
    return found


def write(file: Path, hosts: dict[str, list[Any]]) -> None:
    """As the name of the file says."""
    if file.suffix == ".csv":
        with file.open("w", newline="") as out:
            csv.writer(out).writerows([("host", *COLUMNS), *([name, *row] for name, row in hosts.items())])
        return
    documents = {}
    for name, (transport, address, port, credential, identity, rack) in hosts.items():
        bmc = {"address": address, "port": port, "credential": credential, "identity": identity}
        documents[name] = {"transport": transport, "bmc": bmc, "labels": {"rack": rack}}
    file.write_text(yaml.safe_dump(documents))
