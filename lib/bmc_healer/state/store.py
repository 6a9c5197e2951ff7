"""JSON documents in the datastore that StackStorm gives its actions: closed when blind (SAFETY 5).

What that datastore is like decides everything here: no compare-and-set; `get_value` answers None when it
cannot be reached, so it is never called; `list_values` raises then, but answers at most one page;
`delete_value` answers False; a ttl acts up to a minute late.
"""

from __future__ import annotations

import json
import math
import secrets
import threading
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from bmc_healer.errors import StateError

Document = dict[str, Any]

PAGE = 100  # StackStorm's api.max_page_size; a larger limit is refused for users who are not administrators
PAGING_ATTEMPTS = 5
SENTINEL_SECONDS = 300.0
FOREVER_SECONDS = 10 * 366 * 86400

# What StackStorm's refusals mean, by HTTP status: why, and what to do
REFUSALS = {
    401: (
        "StackStorm does not take the token any more that it gave this action or sensor",
        "[auth] service_token_ttl must be longer than any action lasts; one hour is too short",
    ),
    403: (
        "StackStorm's RBAC does not allow it to the user that this runs as",
        "It needs the role admin, as sensor_service and the system user do: docs/stackstorm.md",
    ),
}


class Entry(Protocol):
    """One row of `list_values`."""

    name: str
    value: str


class Datastore(Protocol):
    """The calls of StackStorm's action_service and sensor_service; `local` is always passed as False."""

    def list_values(
        self, local: bool = True, prefix: str | None = None, limit: int | None = None, offset: int = 0
    ) -> Iterable[Any]:
        """Rows (`Entry`) whose name starts with `prefix`, `limit` of them from `offset` on."""
        ...

    def get_value(self, name: str, local: bool = True, *, decrypt: bool = False) -> str | None:
        """For secrets only: None is both "not set" and "cannot be reached"."""
        ...

    def set_value(self, name: str, value: str, ttl: int | None = None, local: bool = True) -> Any:
        """Create or overwrite."""
        ...

    def delete_value(self, name: str, local: bool = True) -> Any:
        """False when it failed, or when there was none."""
        ...


class Store:
    """Documents under prefixes.

    :param clock: epoch seconds, for `expires_at` beside the late ttl
    :param token: randomness for the sentinel
    """

    def __init__(
        self,
        datastore: Datastore,
        clock: Callable[[], float],
        token: Callable[[], str] = lambda: secrets.token_hex(8),
    ) -> None:
        self._datastore = datastore
        self._clock = clock
        self._token = token
        self._reader = token()
        self._reading = threading.Lock()  # one sentinel for all threads leaves fewer keys behind

    def read(self, prefix: str) -> dict[str, Document]:
        """Every document under `prefix` that has not expired, by its full key.

        A sentinel with a fresh nonce is written first and must be in the same answer: an answer that is
        empty, old or cut short does not pass for "nothing is set".

        :raises StateError: the datastore is down, answers garbage, or not with what was just written
        """
        if not prefix.endswith(":"):
            raise ValueError(f"prefix {prefix!r} must end in a delimiter")
        sentinel, nonce = f"{prefix}~{self._reader}:", self._token()
        with self._reading:
            self.write(sentinel, {"sentinel": nonce}, ttl=SENTINEL_SECONDS)
            found = {name: _parse(name, value) for name, value in self._rows(prefix).items()}
        if found.get(sentinel, {}).get("sentinel") != nonce:
            raise StateError(
                f"the datastore's answer for {prefix} lacks what was written a moment ago",
                do="Nothing is done without reliable state; check StackStorm's API and database",
            )
        now = self._clock()
        return {
            name: document
            for name, document in found.items()
            if "sentinel" not in document and document.get("expires_at", math.inf) > now
        }

    def write(self, key: str, document: Document, *, ttl: float | None = None) -> None:
        """Create or overwrite; with `ttl` (seconds) the document counts as gone after it.

        :raises StateError: it could not be written
        """
        if ttl is not None:
            document = {**document, "expires_at": self._clock() + ttl}
        # StackStorm keeps an older ttl in force when none is given (seen on 3.10dev): for ever is a number.
        seconds = FOREVER_SECONDS if ttl is None else max(1, math.ceil(ttl))
        value = json.dumps(document)
        try:
            self._datastore.set_value(key, value, ttl=seconds, local=False)
        except Exception as error:  # the client's errors have no common base
            # StackStorm answers 500 after it has written when the message bus does not take its own trigger
            # `key_value_pair.value_change`: it may be away, or that API process has lost it for good.
            if not self._holds(key, value):
                raise _unusable("write", key, error) from error

    def _holds(self, key: str, value: str) -> bool:
        try:
            return (key, value) in self._page(key, 0)
        except StateError:
            return False

    def delete(self, key: str) -> None:
        """No error when there is none.

        :raises StateError: it could not be deleted
        """
        try:
            deleted = self._datastore.delete_value(key, local=False)
        except Exception as error:  # the client's errors have no common base
            raise _unusable("delete", key, error) from error
        # False is "failed" in StackStorm and "there was none" in packrunner
        if deleted is False and any(name == key for name, _ in self._page(key, 0)):
            raise _unusable("delete", key, None)

    def _rows(self, prefix: str) -> dict[str, str]:
        """All pages; they overlap by one row: when it moved, keys came or went and one may be missing."""
        for _ in range(PAGING_ATTEMPTS):
            names: list[str] = []
            rows: dict[str, str] = {}
            while True:
                page = self._page(prefix, max(0, len(names) - 1))
                if names and (not page or page[0][0] != names[-1]):
                    break
                fresh = page[1:] if names else page
                names += [name for name, _ in fresh]
                rows.update(fresh)
                if len(page) != PAGE:  # more than asked for: the limit was ignored, everything is there
                    if len(rows) < len(names):
                        break
                    # StackStorm with RBAC ignores the prefix for users who are not administrators
                    return {name: value for name, value in rows.items() if name.startswith(prefix)}
        raise StateError(
            f"the keys under {prefix} changed under every one of {PAGING_ATTEMPTS} readings",
            do="Try again; if it stays, look for what writes there",
        )

    def _page(self, prefix: str, offset: int) -> list[tuple[str, str]]:
        try:
            page = self._datastore.list_values(local=False, prefix=prefix, limit=PAGE, offset=offset)
            return [(entry.name, entry.value) for entry in page]
        except Exception as error:  # the client's errors have no common base
            raise _unusable("read", prefix, error) from error


def _parse(name: str, value: str) -> Document:
    try:
        document = json.loads(value)
    except (TypeError, ValueError):
        document = None
    if not isinstance(document, dict) or not isinstance(document.get("expires_at", 0.0), (int, float)):
        raise StateError(f"the datastore key {name} holds no document of ours", do="Look at it and delete it")
    return document


def _unusable(what: str, key: str, error: Exception | None) -> StateError:
    reason = f": {type(error).__name__}: {' '.join(str(error).split())[:200]}" if error else ""
    do = "Nothing is done without reliable state; check StackStorm's API and database"
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status in REFUSALS:
        why, do = REFUSALS[status]
        reason = f": {why}"
    return StateError(f"the datastore would not {what} {key}{reason}", do=do)
