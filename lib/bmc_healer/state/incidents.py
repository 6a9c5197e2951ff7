"""Incidents: one JSON document per heal, from its trigger to its end.

| member | |
|---|---|
| `id` | `db01-20261121-104512`, as `new_id` made it |
| `host` | its name |
| `key` | the sensor's key of the incident; "" when a person asked |
| `state` | `running` or `ended` |
| `reason`, `source`, `requested_by` | why; `sensor`, `chat`, `cli`, `ui`, `api`; who |
| `started_at`, `ended_at` | epoch seconds; `ended_at` is null while it runs |
| `execution` | of the workflow; "" for none |
| `plan` | the rungs that were to be tried, in order |
| `steps` | one per task: ok, step, verdict, next, sentence, seconds, evidence |
| `outcome` | null, `healed`, `relieved`, `escalated`, `refused`, `proposed`, `not_needed` |
| `healed_by` | rung, or null |
| `sentence` | the end in one sentence |
| `evidence` | JSON data of before and after |

Members may be added; only `id`, `host` and `started_at` are needed here.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from bmc_healer.errors import StateError
from bmc_healer.state import keys
from bmc_healer.state.stamp import compact
from bmc_healer.state.store import Document, Store

KEEP_SECONDS = 30 * 86400.0
RESERVED_SECONDS = 3600.0
ATTEMPTS = 10

# Also what a person types after `report` and in the command of a proposal
ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,253}-\d{8}-\d{6}(-[0-9a-f]+)?")


def new_id(store: Store, host: str, now: float, token: Callable[[], str]) -> str:
    """An id that nobody else gets: sortable by time per host, and short enough to type.

    Who sees another reservation of the same id after writing its own gives it up; at least one of two does.
    """
    base = f"{host}-{compact(now)}"
    for attempt in range(ATTEMPTS):
        name = base if attempt == 0 else f"{base}-{token()[:3]}"
        family = keys.key(keys.INCIDENTS, name)
        mine = keys.key(family, "reserved", token())
        store.write(mine, {"reserved": name}, ttl=RESERVED_SECONDS)
        if set(store.read(family)) == {mine}:
            return name
        store.delete(mine)
    raise StateError(f"no free incident id after {ATTEMPTS} attempts", host, "Try again")


def save(store: Store, document: Document) -> None:
    """Create or replace; kept for 30 days."""
    store.write(keys.key(keys.INCIDENTS, document["id"]), document, ttl=KEEP_SECONDS)


def load(store: Store, incident: str) -> Document | None:
    """One incident; None when there is none with this id, or the text is no id at all."""
    if not ID.fullmatch(incident):
        return None
    family = keys.key(keys.INCIDENTS, incident)
    return _clean(store.read(family)).get(family)


def latest(store: Store, limit: int, host: str | None = None) -> list[Document]:
    """The newest first."""
    found = [
        document
        for document in _clean(store.read(keys.INCIDENTS)).values()
        if host is None or document["host"] == host
    ]
    return sorted(found, key=lambda d: (d["started_at"], d["id"]), reverse=True)[:limit]


def _clean(documents: dict[str, Document]) -> dict[str, Document]:
    """Without reservations, and without the store's own mark."""
    return {
        key: {name: value for name, value in document.items() if name != "expires_at"}
        for key, document in documents.items()
        if {"id", "host", "started_at"} <= document.keys()
    }
