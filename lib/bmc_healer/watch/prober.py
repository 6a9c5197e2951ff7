"""Where samples of a host come from: an SSH channel, or this machine's /proc."""

from __future__ import annotations

import asyncio
from typing import Protocol

from bmc_healer.config.settings import HostSettings
from bmc_healer.errors import HostAccessError

from .channel import Channel, Turns
from .local import LocalProbe
from .snapshot import Sample

LOCAL_SECONDS = 10.0  # reading /proc takes milliseconds
# Half a second of CPU, which may be ten on a machine that is busy: more at once run into their own timeouts,
# and come back, and none gets through.
OPENING_AT_ONCE = 128
# A dead or mute host holds one for its connect_timeout: at 60 in a second (start.py) and 10 s that is 600
# at most. It takes the descriptor that the host's channel would have: none beside those that the watch asks
# for.
REACHING_AT_ONCE = 1024


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


class Probers:
    """Makes the prober of a host whose transport is ssh or local; nothing is connected yet.

    When a network comes back, all hosts want to be connected to at once: some have their turn, so that each
    of them is through with its key exchange before its time is over.
    """

    def __init__(self) -> None:
        self._turns = Turns(asyncio.Semaphore(REACHING_AT_ONCE), asyncio.Semaphore(OPENING_AT_ONCE))

    def __call__(self, host: HostSettings) -> Prober:
        """:param host: whose transport is not `none`."""
        return ThisMachine() if host.transport == "local" else Channel(host, self._turns)
