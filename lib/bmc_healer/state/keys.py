"""Names of the datastore keys: families, every part encoded, every key and prefix ends in ":".

The trailing delimiter matters: a prefix is plain text, and `db1` would also list `db10`. Characters that
an URL path or the delimiter could trip over are written as `_xx` (hex of the UTF-8 byte).
"""

from __future__ import annotations

import re
import zlib

FLEET = "bmc_healer:f:"  # locks, candidates, pauses, heals of the last hour, credentials, mass outages
HOSTS = "bmc_healer:h:"  # per host: fence, heartbeats, intents, heals, latch, memory, acknowledgements
INCIDENTS = "bmc_healer:i:"
OUTBOX = "bmc_healer:o:"
WATCHES = "bmc_healer:w:"  # documents of the watches: `w:kipmi:<name>:`, `w:bmc:<name>:`
LAN = "bmc_healer:l:"  # what the watches saw of all BMCs on the LAN: `l:<part of the fleet>:<watch>:`
SENSORS = "bmc_healer:s:"  # sensors that share a fleet, with their signs of life

# What is known of all hosts is kept in so many documents, and so many parts of the fleet can have a sensor of
# their own. A key of StackStorm's takes 10 to 70 ms to write: this is a few seconds for ten thousand hosts.
FLEET_PARTS = tuple(f"{number:02x}" for number in range(64))

_UNSAFE = re.compile(rb"[^A-Za-z0-9.-]")


def part(text: str) -> str:
    """`text` as one part of a key: `rack=r12` becomes `rack_3dr12`; two texts never become one part."""
    return _UNSAFE.sub(lambda byte: b"_%02x" % ord(byte[0]), text.encode()).decode()


def key(family: str, *parts: str) -> str:
    """`family` is one of the prefixes of this module or of `host()`."""
    return family + "".join(f"{part(p)}:" for p in parts)


def fleet_part(name: str) -> str:
    """The part of the fleet that a host belongs to, by a hash of its name: one of `FLEET_PARTS`."""
    return FLEET_PARTS[zlib.crc32(name.lower().encode()) % len(FLEET_PARTS)]


def host(name: str) -> str:
    """Prefix of everything that belongs to one host; names are compared in lower case."""
    return key(HOSTS, name.lower())
