"""channels COUNT PORT FOLDER USER: so many of the watch's channels, each asked again and again.

Beside the cost of a look at all it prints `login`, the CPU seconds of opening one, and `each`, its KiB.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import statistics
import sys
import time

from bench.measure import memory_of
from bmc_healer.config.settings import HostSettings, SshSettings
from bmc_healer.watch.channel import Channel

AT_ONCE = 8
LOOKS = 8


async def main(count: int, port: int, folder: str, user: str) -> None:
    """Open all, then look at all some times."""
    ssh = SshSettings(port, user, f"{folder}/id", f"{folder}/known_hosts", connect_timeout=60.0)
    channels = [Channel(HostSettings(f"host{n}", "127.0.0.1", "ssh", ssh)) for n in range(count + 1)]
    await channels[0].sample()  # what the library itself takes is not counted
    gc.collect()
    memory, cpu = memory_of(os.getpid()), time.process_time()
    await look(channels[1:])
    login = (time.process_time() - cpu) / count
    gc.collect()
    each = (memory_of(os.getpid()) - memory) / count * 1024
    cpus, walls = [], []
    for _ in range(LOOKS):
        cpu, wall = time.process_time(), time.perf_counter()
        await look(channels[1:])
        cpus.append(time.process_time() - cpu)
        walls.append(time.perf_counter() - wall)
    for channel in channels:
        channel.close()
    mib = memory_of(os.getpid(), "VmHWM")
    cost = {"cpu": statistics.median(cpus), "wall": statistics.median(walls), "mib": mib}
    print(json.dumps({**cost, "login": login, "each": each}))


async def look(channels: list[Channel]) -> None:
    """One look at all, a few at once: in a watch they are spread over the poll's time."""
    todo = iter(channels)

    async def worker() -> None:
        for channel in todo:
            await channel.sample()

    await asyncio.gather(*(worker() for _ in range(AT_ONCE)))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]))
