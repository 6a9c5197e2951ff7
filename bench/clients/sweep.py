"""sweep COUNT PORT TIMES: `bmc_healer.bmc.ping.sweep` of so many BMCs; fails when one does not answer."""

from __future__ import annotations

import sys

from bench.clients.meter import metered
from bmc_healer.bmc.ping import sweep
from lab.fleet import addresses


def main(count: int, port: int, times: int) -> None:
    """Sweep so often."""
    peers = [(address, port) for address in addresses(count)]

    def look() -> None:
        dark = sweep(peers).dark
        if dark:
            sys.exit(f"{len(dark)} BMCs are dark: {sorted(dark)[:3]}")

    metered(look, times, before=1 if times > 1 else 0)


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:]))
