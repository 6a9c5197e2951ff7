"""What the watches saw of the BMCs on the LAN, for everybody to read: a document for each part of the fleet.

One key for each host would be ten thousand writes when all of them fall silent, and minutes in which a sensor
does nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from bmc_healer.state import keys
from bmc_healer.state.refs import HostMemory
from bmc_healer.state.store import Store

Seen = Sequence[Any]  # alive_at, dark_at, dark_since: epoch seconds, None for never


def seen_by_watches(store: Store, host: str) -> list[Seen]:
    """What each watch saw of the host's BMC.

    :raises StateError: the datastore cannot be trusted
    """
    kept = store.read(keys.key(keys.LAN, keys.fleet_part(host))).values()
    documents = (entry.get("document") for entry in kept)
    found = (document.get(host) for document in documents if isinstance(document, dict))
    return [seen for seen in found if isinstance(seen, list) and len(seen) == 3]


def newest(memory: HostMemory, others: Iterable[Seen]) -> HostMemory:
    """`memory` and what others saw; the start of a silence is told by who saw its latest sign."""
    for seen in others:
        alive, dark, since = map(_time, seen)
        if alive is not None:
            memory = replace(memory, lan_alive_at=max(alive, memory.lan_alive_at or 0.0))
        if dark is not None and dark > (memory.lan_dark_at or 0.0):
            memory = replace(memory, lan_dark_at=dark, lan_dark_since=since)
    return memory


def _time(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) else None
