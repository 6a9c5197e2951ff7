"""Names of the datastore keys: five families, every part encoded, every key and prefix ends in ":".

The trailing delimiter matters: a prefix is plain text, and `db1` would also list `db10`. Characters that
an URL path or the delimiter could trip over are written as `_xx` (hex of the UTF-8 byte).
"""

from __future__ import annotations

import re

FLEET = "bmc_healer:f:"  # locks, candidates, pauses, heals of the last hour, credentials, mass outages
HOSTS = "bmc_healer:h:"  # per host: fence, heartbeats, intents, heals, latch, memory, acknowledgements
INCIDENTS = "bmc_healer:i:"
OUTBOX = "bmc_healer:o:"

_UNSAFE = re.compile(rb"[^A-Za-z0-9.-]")


def part(text: str) -> str:
    """`text` as one part of a key: `rack=r12` becomes `rack_3dr12`; two texts never become one part."""
    return _UNSAFE.sub(lambda byte: b"_%02x" % ord(byte[0]), text.encode()).decode()


def key(family: str, *parts: str) -> str:
    """`family` is one of the prefixes of this module or of `host()`."""
    return family + "".join(f"{part(p)}:" for p in parts)


def host(name: str) -> str:
    """Prefix of everything that belongs to one host; names are compared in lower case."""
    return key(HOSTS, name.lower())
