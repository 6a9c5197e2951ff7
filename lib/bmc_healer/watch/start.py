"""In which order, and how fast, hosts are connected to when a watch starts: a pure function."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable

PER_SECOND = 60  # a login takes 5 ms of CPU (docs/bench.md): a third of a core until all are connected


def start_delays(hosts: Iterable[str], ill: Collection[str], rng: random.Random) -> dict[str, float]:
    """Host name to the seconds until its first look; those last seen ill first, the others in any order."""
    order = list(hosts)
    rng.shuffle(order)
    order.sort(key=lambda host: host not in ill)
    return {host: number / PER_SECOND for number, host in enumerate(order)}
