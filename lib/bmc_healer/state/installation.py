"""Two small things that all processes of one installation share: its name, and what was said already."""

from __future__ import annotations

from bmc_healer.state import keys
from bmc_healer.state.store import Store

TOLD_SECONDS = 3600.0


def installation(store: Store, fresh: str) -> str:
    """The id under which this StackStorm (or this embedded runner) leases hosts; made once, kept for ever.

    :param fresh: a random id, taken when there is none yet. Of two that are made at once the lower one stays.
    """
    family = keys.key(keys.FLEET, "installation")
    found = _ids(store, family)
    if not found:
        store.write(keys.key(family, fresh), {"id": fresh})
        found = _ids(store, family)
    return min(found)


def _ids(store: Store, family: str) -> set[str]:
    return {str(document["id"]) for document in store.read(family).values() if "id" in document}


def first_telling(store: Store, host: str, rule: str) -> bool:
    """True once an hour for one host and rule: a refusal that comes back every ten minutes is told once."""
    key = keys.key(keys.host(host), "told", rule)
    if key in store.read(keys.host(host)):
        return False
    store.write(key, {"told": rule}, ttl=TOLD_SECONDS)
    return True
