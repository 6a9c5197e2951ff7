"""Secrets that nobody else has, and every place where StackStorm and the pack might leave them.

A search is worth something only where it can find: each kind of place is shown to hold what it must hold (an
incident's id) beside what it must not.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.stackstorm.api import Api
from tests.stackstorm.services import Services

INTERVAL_SECONDS = 0.02
PAGE = 100

Place = tuple[str, bytes]
"""Where it was found, and all that is there."""

# Runs in StackStorm's own interpreter: it knows how to reach its database, whatever that is.
DUMP = """
import base64, sys, bson, mongoengine
from oslo_config import cfg
from st2common import config
config.register_opts(ignore_errors=True)
cfg.CONF(args=sys.argv[1:], version="")
from st2common.database_setup import db_setup
db_setup(ensure_indexes=False)
store = mongoengine.get_db()
for name in store.list_collection_names():
    for document in store[name].find():
        print(name, document["_id"], base64.b64encode(bson.encode(document)).decode())
"""


def canary() -> str:
    """A text that is nowhere else on this machine; short enough for a BMC's password."""
    return f"cn{secrets.token_hex(7)}"


def forms(secret: str) -> frozenset[bytes]:
    """How a secret may look: as it is, in hexadecimal, quoted for an URL, in base64 wherever it begins."""
    plain = secret.encode()
    shifted = {base64.b64encode(b"\0" * before + plain)[4 if before else 0 : -4] for before in range(3)}
    return frozenset({plain, plain.hex().encode(), quote(secret, safe="").encode()} | shifted)


class Secrets:
    """By name, with every form that they may take."""

    def __init__(self, named: Mapping[str, str]) -> None:
        self.named = dict(named)
        self._forms = {form: name for name, secret in named.items() for form in forms(secret)}

    def within(self, places: Iterator[Place]) -> list[str]:
        """`password in execution 1234: ...` for each place that holds one; empty when there is none."""
        return [
            f"{name} in {where}: ...{_around(data, form)}..."
            for where, data in places
            for form, name in self._forms.items()
            if form in data
        ]


def _around(data: bytes, form: bytes) -> str:
    at = data.find(form)
    return data[max(0, at - 60) : at + len(form) + 20].decode(errors="replace")


class Processes(threading.Thread):
    """A context manager: while it lasts, the arguments and the environment of every process are kept.

    gaps: seconds between two looks
    """

    def __init__(self) -> None:
        super().__init__(name="processes", daemon=True)
        self._seen: dict[tuple[str, bytes], bytes] = {}
        self._end = threading.Event()
        self.gaps: list[float] = []

    def __enter__(self) -> Processes:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self.join()

    def run(self) -> None:
        """Look, again and again."""
        last = time.monotonic()
        while not self._end.is_set():
            self._look()
            now = time.monotonic()
            self.gaps.append(now - last)
            last = now
            self._end.wait(INTERVAL_SECONDS)

    def _look(self) -> None:
        for pid in filter(str.isdigit, os.listdir("/proc")):  # noqa: PTH208 (Path costs more than the look)
            with suppress(OSError):
                argv = _read(f"/proc/{pid}/cmdline")
                if argv and (pid, argv) not in self._seen:
                    self._seen[pid, argv] = b""
                    self._seen[pid, argv] = _read(f"/proc/{pid}/environ")  # only root reads everybody's

    def argv(self) -> Iterator[Place]:
        """The arguments that were seen."""
        for pid, argv in list(self._seen):
            yield f"the arguments of process {pid}", argv.replace(b"\0", b" ")

    def environ(self) -> Iterator[Place]:
        """The environments that were seen."""
        for (pid, argv), environ in list(self._seen.items()):
            program = argv.replace(b"\0", b" ")[:80].decode(errors="replace")
            yield f"the environment of process {pid} ({program})", environ

    def actions(self, pack: str) -> list[list[bytes]]:
        """The arguments of StackStorm's python action processes of a pack."""
        found = [argv.rstrip(b"\0").split(b"\0") for _, argv in self._seen]
        return [a for a in found if f"--pack={pack}".encode() in a and b"action_wrapper" in b" ".join(a[:4])]


def _read(path: str) -> bytes:
    with open(path, "rb") as file:  # noqa: PTH123 (see _look)
        return file.read()


class Records:
    """What StackStorm's API tells of everything that happened since this was made."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._since = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(time.time() - 1))

    def executions(self) -> Iterator[Place]:
        """Every execution with all its attributes, secret parameters unmasked, and its output."""
        for execution in self._listed("/executions", timestamp_gt=self._since):
            which = f"execution {execution['id']} of {execution['action']['ref']}"
            path = f"/executions/{execution['id']}"
            yield which, self._text(path, show_secrets="true")
            yield f"the children of {which}", self._text(f"{path}/children", show_secrets="true")
            yield f"the output of {which}", self._text(f"{path}/output")

    def triggers(self) -> Iterator[Place]:
        """Trigger instances with their payloads, and what the rules made of them."""
        for path in ("/triggerinstances", "/ruleenforcements/views"):
            for record in self._listed(path, timestamp_gt=self._since):
                yield f"{path} {record['id']}", json.dumps(record).encode()

    def keys(self) -> Iterator[Place]:
        """The datastore, as it is stored."""
        for key in self._listed("/keys", scope="all"):
            yield f"the datastore's key {key['name']}", json.dumps(key).encode()

    def config(self, pack: str) -> Iterator[Place]:
        """A pack's configuration."""
        yield f"the configuration of {pack}", self._text(f"/configs/{pack}", show_secrets="true")

    def _listed(self, path: str, **query: Any) -> Iterator[dict[str, Any]]:
        offset = 0
        while page := self._api.call("GET", path, limit=PAGE, offset=offset, **query):
            yield from page
            offset += len(page)

    def _text(self, path: str, **query: Any) -> bytes:
        return self._api.content("GET", path, **query)


def database(services: Services) -> Iterator[Place]:
    """Every document of StackStorm's database."""
    argv = Path(f"/proc/{services['st2api'].pid}/cmdline").read_bytes().decode().split("\0")
    at = argv.index("--config-file")
    told = subprocess.run(
        [argv[0], "-c", DUMP, *argv[at : at + 2]], capture_output=True, check=True, text=True
    )
    for line in told.stdout.splitlines():
        collection, number, document = line.split(" ")
        yield f"{collection} {number}", base64.b64decode(document)


def logs(services: Services) -> Iterator[Place]:
    """Every line of every log file."""
    for file in sorted(services.logs.rglob("*")):
        if file.is_file():
            for number, line in enumerate(file.read_bytes().splitlines(), start=1):
                yield f"{file.name} line {number}", line


def files(*folders: Path) -> Iterator[Place]:
    """Every file below."""
    for folder in folders:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                yield str(file), file.read_bytes()
