"""All hosts: those of the configuration and the thousands of the inventory file, re-read when it changes."""

from __future__ import annotations

import difflib
import gc
import hashlib
import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from bmc_healer.config import hosts, inventory_file, names
from bmc_healer.config.index import HostIndex, Row, Stamp, place, stamp
from bmc_healer.config.settings import Config, HostSettings
from bmc_healer.errors import ConfigError, UnknownHostError


class Inventory:
    """Finds hosts by name and label. Safe to share between threads.

    :raises ConfigError: the inventory file is of no use and there is no earlier good reading of it
    """

    def __init__(self, config: Config, *, clock: Callable[[], float] = time.time) -> None:
        self._config = config
        self._clock = clock
        self._source = Path(config.inventory) if config.inventory else None
        self._context = _context(config)
        self._index: HostIndex | None = None
        self._seen: Stamp | None = None
        self._lock = threading.RLock()
        self.warning: str | None = None
        """Why the last good reading of the file is used instead of the file; None when all is well."""
        self.revision = 0
        """Grows whenever the hosts may have changed."""
        self.refresh()

    def host(self, name: str) -> HostSettings:
        """One host by name, in any case.

        :raises UnknownHostError: malformed or not known; the sentence names what is near
        """
        proper = names.host_name(name.strip(" "))  # chat: two blanks before it
        if proper is None:
            what = f"{names.printable(name)} is not a host name" if name else "the host name is empty"
            raise UnknownHostError(
                what,
                do="Give a name from the configuration, e.g. db01",
                unnamed="That is not a host name. Give a name from the configuration, e.g. db01.",
            )
        if proper in self._config.hosts:
            return self._config.hosts[proper]
        with self._lock:
            self.refresh()
            document = self._index.document(proper) if self._index else None
        if document is None:
            near = self._near(proper)
            raise UnknownHostError(
                f"the host '{proper}' is not in the configuration{near}",
                do="Check its spelling",
                unnamed=f"There is no such host in the configuration{near}.",
            )
        return hosts.settings(proper, document)

    def hosts(self) -> Iterator[HostSettings]:
        """Every host, as of now: those of the configuration first, then those of the file in its order."""
        yield from self._config.hosts.values()
        yield from self._listed(None)

    def by_label(self, label: str) -> tuple[HostSettings, ...]:
        """The hosts with a label, given as `rack=r12`."""
        direct = [host for host in self._config.hosts.values() if label in host.label_keys]
        return (*direct, *self._listed(label))

    def sample(self, size: int, rng: random.Random) -> tuple[HostSettings, ...]:
        """`size` hosts drawn at random, all of them when there are no more."""
        with self._lock:
            self.refresh()
            direct = list(self._config.hosts.values())
            total = len(direct) + (self._index.count if self._index else 0)
            drawn = rng.sample(range(total), min(size, total))
            filed = self._index.nth(n - len(direct) for n in drawn if n >= len(direct)) if self._index else []
        chosen = [direct[n] for n in drawn if n < len(direct)]
        return (*chosen, *(hosts.settings(name, document) for name, document in filed))

    @property
    def count(self) -> int:
        """How many hosts there are."""
        with self._lock:
            self.refresh()
            return len(self._config.hosts) + (self._index.count if self._index else 0)

    def refresh(self) -> None:
        """Look at the file (one stat) and take it up when it has changed; every call does this first."""
        if self._source is None:
            return
        with self._lock:
            now = stamp(self._source)
            if self._index is None or now != self._seen:
                self._renew(self._source, now)
                self._seen = now
                self.revision += 1

    def _listed(self, label: str | None) -> list[HostSettings]:
        with self._lock:
            self.refresh()
            found = self._index.documents(label) if self._index else ()
            return [hosts.settings(name, document) for name, document in found]

    def _renew(self, source: Path, now: Stamp | None) -> None:
        path = place(source)
        last = HostIndex.open(path, self._context) or self._index
        if last is not None and last.source == now:
            self._use(last, None)
        elif last is not None and now is not None and last.broken is not None and last.broken[0] == now:
            self._use(last, last.broken[1])
        else:
            try:
                rows = self._rows(inventory_file.read(source), source)
                self._use(HostIndex.build(path, now or (0, 0, 0), self._context, rows, self._clock()), None)
                del rows
                _give_back_memory()
            except ConfigError as error:
                if last is None:
                    raise
                if now is not None:
                    last.mark_broken(now, error.sentence)
                self._use(last, error.sentence)

    def _use(self, index: HostIndex, broken: str | None) -> None:
        if self._index is not None and self._index is not index:
            self._index.close()
        self._index = index
        read_at = datetime.fromtimestamp(index.built_at, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        kept = f"The last good reading is used: {index.count} hosts of {read_at}."
        self.warning = f"{broken} {kept}" if broken else None

    def _rows(self, documents: dict[str, Any], source: Path) -> list[Row]:
        checks = hosts.HostChecks(self._config.credentials)
        for host in self._config.hosts.values():
            checks.add(host.name, host, "the configuration")
        rows: list[Row] = []
        for key in list(documents):
            merged = hosts.merge(documents.pop(key), self._config.defaults)
            host = hosts.settings(key, merged)
            checks.add(key, host, f"{source}: {key}")
            rows.append((host.name, json.dumps(merged), host.label_keys))
        return rows

    def _near(self, name: str) -> str:
        near = difflib.get_close_matches(name, [host.name for host in self.hosts()], n=3)
        return f"; near it: {', '.join(near)}" if near else ""


def _give_back_memory() -> None:
    """What is still held lies scattered among what was read and keeps its memory, and a watch lives long."""
    hosts.forget_shared()
    gc.collect()  # empties the interpreter's lists of free objects, too


def _context(config: Config) -> str:
    """What the index depends on beside the file: another value means a rebuild."""
    bmcs = [[host.name, host.bmc and [host.bmc.address, host.bmc.port]] for host in config.hosts.values()]
    parts = [config.defaults, sorted(config.credentials), bmcs]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
