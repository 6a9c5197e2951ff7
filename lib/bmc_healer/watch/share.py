"""Which hosts one of several sensors watches: pure functions of the names of all of them.

The fleet is dealt out in parts, by a hash of the host name. Each part has one owner for any set of sensors
(rendezvous hashing), and no part moves between two that stay.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from bmc_healer.state.keys import FLEET_PARTS, fleet_part

Share = frozenset[str] | None
"""Parts of the fleet; None: all of it."""


def share_of(sensor: str, sensors: Iterable[str]) -> Share:
    """The parts that `sensor`, one of `sensors`, watches; all of them when it is the only one."""
    names = sorted(set(sensors) | {sensor})
    if names == [sensor]:
        return None
    return frozenset(part for part in FLEET_PARTS if max(names, key=lambda name: _rank(name, part)) == sensor)


def owns(share: Share, host: str) -> bool:
    """Whether a host is in this share."""
    return share is None or fleet_part(host) in share


def _rank(sensor: str, part: str) -> bytes:
    return hashlib.sha256(f"{part} {sensor}".encode()).digest()
