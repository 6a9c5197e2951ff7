"""What a piece of this very process costs."""

from __future__ import annotations

import json
import resource
import statistics
import time
from collections.abc import Callable


def metered(look: Callable[[], object], times: int, *, before: int = 1) -> None:
    """Print the median CPU and wall seconds of one look, and the largest memory of this process.

    :param before: looks that are not counted: the first one fills caches
    """
    for _ in range(before):
        look()
    cpu, wall = [], []
    for _ in range(times):
        cpu_before, wall_before = time.process_time(), time.perf_counter()
        look()
        cpu.append(time.process_time() - cpu_before)
        wall.append(time.perf_counter() - wall_before)
    tell(statistics.median(cpu), statistics.median(wall))


def tell(cpu: float, wall: float, mib: float | None = None) -> None:
    """Print one cost; the largest memory of this process unless `mib` says otherwise."""
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"cpu": cpu, "wall": wall, "mib": mib or largest}))
