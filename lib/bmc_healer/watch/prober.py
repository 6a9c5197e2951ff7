"""Where samples of a host come from: an SSH channel, or this machine's /proc."""

from __future__ import annotations

import asyncio
from typing import Protocol

from bmc_healer.config.settings import HostSettings
from bmc_healer.errors import HostAccessError

from .channel import Channel
from .local import LocalProbe
from .snapshot import Sample

LOCAL_SECONDS = 10.0  # reading /proc takes milliseconds


class Prober(Protocol):
    """Gives samples of one host: a channel or this machine."""

    async def sample(self) -> Sample:
        """:raises HostAccessError: no sample can be had now."""
        ...

    def close(self) -> None:
        """Give up what is open."""
        ...


class ThisMachine:
    """LocalProbe in a thread: should a read hang after all, the loop goes on."""

    def __init__(self) -> None:
        self._probe = LocalProbe()
        self._running: asyncio.Future[Sample] | None = None

    async def sample(self) -> Sample:
        """:raises HostAccessError: /proc cannot be read, or an earlier look still hangs."""
        if self._running is None or self._running.done():
            self._running = asyncio.ensure_future(asyncio.to_thread(self._probe.sample))
        try:
            return await asyncio.wait_for(asyncio.shield(self._running), LOCAL_SECONDS)
        except asyncio.TimeoutError:
            raise HostAccessError("reading /proc hangs", "this machine", "look at `dmesg`") from None

    def close(self) -> None:
        """Nothing is open."""


def open_prober(host: HostSettings) -> Prober:
    """The prober of a host whose transport is ssh or local; nothing is connected yet."""
    return ThisMachine() if host.transport == "local" else Channel(host)
