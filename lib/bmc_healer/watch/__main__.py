"""`python -m bmc_healer.watch kipmi|bmc`: the watch process behind a sensor; see `wire.py` for its life.

First line in: {"config": {...}, "state": {name: document}, "secrets": {password_key: password}, "stopped":
[credential, ...], "share": parts of the fleet or null for all}; later lines: {"acknowledged": [key, ...]} and
{"share": ..., "state": ...}. Lines out:

    {"trigger": "bmc_healer.kipmi.high_cpu", "payload": {...}}
    {"store": {name: document or null}}           persisted before the next line is taken; later `state`
    {"remember": {"host": ..., field: value}}     for HostMemory
    {"mass": {"label", "hosts", "until" or null}} a mass outage, for the guardrails
    {"bad_login": {"credential", "bmc"}}          a BMC refused a credential
    {"log": level, "text": ...}
    {"beat": epoch seconds}                       a sign of life, every few seconds
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from typing import Any, Protocol

from bmc_healer.config.inventory import Inventory
from bmc_healer.config.load import from_dict
from bmc_healer.config.settings import Config
from bmc_healer.errors import ConfigError

from .share import Share
from .wire import Line, Lines, first_line, follow, raise_descriptors, vanish

RETRY_SECONDS = (5.0, 15.0, 60.0)
BEAT_SECONDS = 10.0


class Watch(Protocol):
    """One of the two watches."""

    async def run(self) -> None:
        """Watch until cancelled."""
        ...

    def acknowledge(self, keys: frozenset[str]) -> None:
        """Keys of incidents that need not be told again."""
        ...

    def share(self, share: Share, state: dict[str, Line]) -> None:
        """The parts of the fleet to watch from now on, and what others knew of them."""
        ...


def main(kind: str) -> None:
    """Watch until stdin ends."""
    raise_descriptors()  # an SSH host takes one
    lines = Lines()
    line = first_line(sys.stdin.buffer)
    if line is None:
        return
    loop = asyncio.new_event_loop()
    watches: list[Watch] = []
    starting = threading.Lock()

    def take(later: Line) -> None:
        with starting:
            if not watches:
                line.update(later)
                return
        if "share" in later:
            loop.call_soon_threadsafe(watches[0].share, *_share(later))
        loop.call_soon_threadsafe(watches[0].acknowledge, frozenset(later.get("acknowledged", [])))

    follow(sys.stdin.buffer, take)
    try:
        config, inventory = usable(line.get("config") or {}, lines)
        watch = open_watch(kind, config, inventory, line, lines)
        with starting:
            watch.share(*_share(line))
            watches.append(watch)
            line.clear()
        loop.run_until_complete(_run(watch, lines))
    except BrokenPipeError:  # the sensor is gone; its end of stdin says so too
        vanish()


async def _run(watch: Watch, lines: Lines) -> None:
    """The watch, and the signs of life beside it: they stop when the event loop does."""
    watching = asyncio.ensure_future(watch.run())
    while not watching.done():
        lines.put({"beat": time.time()})
        await asyncio.wait([watching], timeout=BEAT_SECONDS)
    watching.result()


def usable(document: dict[str, Any], lines: Lines) -> tuple[Config, Inventory]:
    """The configuration, tried again until it can be used: the inventory file may be mended meanwhile."""
    told, attempt = "", 0
    while True:
        try:
            config = from_dict(document, origin="the pack's configuration", plain_secrets=True)
            inventory = Inventory(config)
            if told:
                lines.log("info", "the configuration can be used now")
            return config, inventory
        except ConfigError as error:
            if error.sentence != told:
                told = error.sentence
                level = "info" if _blank(document) else "error"  # a pack just installed is not at fault
                lines.log(level, f"nothing is watched: {told}")
        lines.put({"beat": time.time()})
        time.sleep(RETRY_SECONDS[min(attempt, len(RETRY_SECONDS) - 1)])
        attempt += 1


def _share(line: Line) -> tuple[Share, dict[str, Line]]:
    parts = line.get("share")
    return None if parts is None else frozenset(parts), line.get("state") or {}


def _blank(document: dict[str, Any]) -> bool:
    """Nobody has written anything; StackStorm makes up empty sections, and fills `defaults` with more."""
    return not any(value for name, value in document.items() if name != "defaults")


def open_watch(kind: str, config: Config, inventory: Inventory, line: Line, lines: Lines) -> Watch:
    """The watch behind a sensor.

    :param kind: `kipmi` or `bmc`
    """
    state = line.get("state") or {}
    if kind == "kipmi":
        from .kipmi import KipmiWatch

        return KipmiWatch(config, inventory, state, lines)
    from .bmc import BmcWatch
    from .confirm import Confirm

    confirm = Confirm(config, line.get("secrets") or {}, line.get("stopped") or (), lines)
    return BmcWatch(config, inventory, state, confirm, lines)


if __name__ == "__main__":
    if sys.argv[1:] not in (["kipmi"], ["bmc"]):
        sys.exit("usage: python -m bmc_healer.watch kipmi|bmc")
    main(sys.argv[1])
