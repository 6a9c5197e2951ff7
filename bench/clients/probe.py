"""probe: `LocalProbe`, as the kipmi watch looks at its own machine; one look."""

from __future__ import annotations

from bench.clients.meter import metered
from bmc_healer.watch.local import TRUSTED_POLLS, LocalProbe

if __name__ == "__main__":
    metered(LocalProbe().sample, 2 * TRUSTED_POLLS, before=2 * TRUSTED_POLLS + 2)
