"""Runs a watch for a while and keeps what it says."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import suppress
from dataclasses import replace

from bmc_healer.config.inventory import Inventory
from bmc_healer.config.load import from_dict
from bmc_healer.config.settings import WatchSettings


class Said:
    """What a watch put out: stands in for the pipe to the sensor."""

    def __init__(self):
        self.lines = []

    def put(self, line):
        self.lines.append(json.loads(json.dumps(line)))

    def log(self, level, text):
        self.put({"log": level, "text": text})

    def triggers(self, name=None):
        found = [line for line in self.lines if "trigger" in line]
        return [
            line["payload"] for line in found if name in (None, line["trigger"].removeprefix("bmc_healer."))
        ]

    def names(self):
        return [line["trigger"].removeprefix("bmc_healer.") for line in self.lines if "trigger" in line]

    def stored(self):
        """The documents as the sensor would give them back."""
        found = {}
        for line in self.lines:
            found |= line.get("store", {})
        return {name: document for name, document in found.items() if document is not None}

    def deleted(self):
        """Names of the documents that were taken back."""
        return [
            name for line in self.lines for name, document in line.get("store", {}).items() if not document
        ]

    def texts(self):
        return [line["text"] for line in self.lines if "log" in line]


def config_of(hosts, **watch):
    """Configuration and inventory; the marks of `watch` may be faster than the schema allows."""
    data = {
        "mode": "observe",
        "hosts": hosts,
        "credentials": {"lab": {"username": "admin", "password": "labpass"}},
    }
    config = from_dict(data, origin="test", plain_secrets=True)
    return replace(config, watch=WatchSettings(**watch)), Inventory(config)


def run_until(watch, condition, seconds=20.0):
    """Run until `condition()` holds; False when it does not within `seconds`."""

    async def main():
        running = asyncio.ensure_future(watch.run())
        deadline = time.monotonic() + seconds
        while not condition() and not running.done() and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
        if running.done():
            running.result()
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        return condition()

    return asyncio.run(main())
