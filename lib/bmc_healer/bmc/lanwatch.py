"""Watches one BMC's LAN side from a thread, for as long as a reset and the waiting for its end take."""

from __future__ import annotations

import contextlib
import errno
import select
import socket
import threading
import time
from collections.abc import Callable

from bmc_healer.bmc import rmcp
from bmc_healer.bmc.address import socket_address
from bmc_healer.bmc.darkness import DOUBT_SECONDS, Darkness, DarkPeriod
from bmc_healer.errors import BmcError

_DATAGRAM = 512  # bytes read; an answer has about 30
# What a connected UDP socket says about the other end (ICMP, ARP). Everything else (no route, firewall, no
# memory) happens here: the request has not left, so that its missing answer tells nothing.
_REMOTE_ERRORS = (errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.EHOSTDOWN)


class LanWatch:
    """A context manager that pings a BMC every `interval` seconds, more often while it is silent, and notes
    its dark periods.

    :param address: pinned IP address
    :param alive: it has answered just before, to somebody else: silence from the start is a dark period
    :param clock: epoch seconds; read once, so that a clock that is set meanwhile moves nothing
    :raises BmcError: on entering, when `address` is not an IP address
    """

    def __init__(
        self,
        address: str,
        port: int,
        *,
        interval: float = 0.25,
        alive: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.peer = (address, port)
        self._interval = interval
        self._epoch = clock() - time.monotonic()
        self._darkness = Darkness()
        self._not_before = float("-inf")
        if alive:
            self._darkness.known_alive(time.monotonic())
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name=f"lanwatch-{address}", daemon=True)

    def __enter__(self) -> LanWatch:
        family, self._where = socket_address(*self.peer)
        self._sock = socket.socket(family, socket.SOCK_DGRAM)
        self._sock.setblocking(False)
        self._connect()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._sock.close()

    def reset_goes_out(self) -> None:
        """Directly before a reset is sent: a dark period that has begun by now is not its doing."""
        with self._changed:
            if periods := self._darkness.periods:
                self._not_before = periods[-1].start

    @property
    def dark_periods(self) -> tuple[DarkPeriod, ...]:
        """Dark periods so far, epoch seconds; a late answer may take the last one back (`Darkness`)."""
        with self._changed:
            return tuple(
                DarkPeriod(
                    period.start + self._epoch, None if period.end is None else period.end + self._epoch
                )
                for period in self._darkness.periods
            )

    @property
    def dark_since_reset(self) -> tuple[DarkPeriod, ...]:
        """Those of `dark_periods` that began after the reset went out; all, when none has."""
        after = self._not_before + self._epoch
        return tuple(period for period in self.dark_periods if period.start > after)

    @property
    def alive(self) -> bool:
        """The BMC has answered, and is not dark now."""
        with self._changed:
            return self._alive()

    @property
    def last_answer(self) -> float | None:
        """When the BMC answered last, epoch seconds."""
        with self._changed:
            last = self._darkness.last_answer
            return None if last is None else last + self._epoch

    def wait_dark(self, timeout: float, *, count: int = 1) -> bool:
        """Wait until `count` dark periods have begun since the reset, or since the watch began."""
        with self._changed:
            return self._changed.wait_for(lambda: len(self.dark_since_reset) >= count, timeout)

    def wait_back(self, timeout: float) -> bool:
        """Wait until the BMC answers; true at once when it is not dark."""
        with self._changed:
            return self._changed.wait_for(self._alive, timeout)

    def _alive(self) -> bool:
        return self._darkness.last_answer is not None and not self._darkness.dark

    def _watch(self) -> None:
        poll = select.poll()  # select() cannot take descriptors above 1023
        poll.register(self._sock, select.POLLIN)
        sent = float("-inf")
        while not self._stop.is_set():
            with self._changed:
                self._drain()
                now = time.monotonic()
                self._darkness.tick(now)
                if (wait := sent + self._darkness.pause(self._interval, now) - now) <= 0:
                    sequence = self._darkness.next_sequence()
                    if self._send(rmcp.auth_capabilities_request(sequence)):
                        self._darkness.asked(sequence, now)
                    sent, wait = now, self._darkness.pause(self._interval, now)
                self._changed.notify_all()
            poll.poll(min(wait, DOUBT_SECONDS) * 1000)

    def _send(self, request: bytes) -> bool:
        """Whether the request left. A remote error is that of an earlier one and kept this one back."""
        for _ in range(2):
            try:
                self._sock.send(request)
                return True
            except OSError as error:
                if error.errno not in _REMOTE_ERRORS:
                    self._connect()
                    return False
        return True

    def _connect(self) -> None:
        """Let the kernel drop what comes from elsewhere; fails without a route, and is tried again then."""
        with contextlib.suppress(OSError):
            self._sock.connect(self._where)

    def _drain(self) -> None:
        while True:
            try:
                packet = self._sock.recv(_DATAGRAM)
            except OSError as error:
                if error.errno in _REMOTE_ERRORS:
                    continue  # of an earlier request; reading it clears it
                return
            with contextlib.suppress(BmcError):
                self._darkness.answered(rmcp.parse_alive(packet), time.monotonic())
