"""Is a BMC alive? The sessionless ping for one BMC or for a whole fleet over one socket.

An answer proves that the LAN side lives, not that a login or the in-band side works. False deaths are the
danger here: everything that has arrived is read before anything is judged, no more requests are in flight
than the receive buffer can hold answers for, and an answer counts only from the address that was asked, with
the rqSeq that was sent there.
"""

from __future__ import annotations

import contextlib
import select
import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass

from bmc_healer.bmc import rmcp
from bmc_healer.bmc.address import Peer, SocketAddress, resolve, socket_address
from bmc_healer.bmc.darkness import DarkPeriod
from bmc_healer.bmc.lanwatch import LanWatch
from bmc_healer.errors import BmcError

__all__ = ["DarkPeriod", "LanWatch", "Peer", "SweepResult", "ping", "resolve", "sweep", "system_guid"]

_RECEIVE_BUFFER = 8 << 20  # bytes asked for; without root the kernel grants what net.core.rmem_max allows
_ANSWER_COST = (
    2304  # bytes of receive buffer that one small datagram costs with the greediest network drivers
)
_BURST_SECONDS = 0.05  # answers that take longer than this trickle in and cannot overrun the buffer
_DATAGRAM = 512  # bytes read; an answer has about 30

_REQUESTS = tuple(rmcp.auth_capabilities_request(sequence) for sequence in range(rmcp.SEQUENCES))


@dataclass(frozen=True)
class SweepResult:
    """Which of the BMCs answered; both hold targets as they were given: (address, port)."""

    alive: frozenset[Peer]
    dark: frozenset[Peer]


def ping(address: str, port: int, *, timeout: float = 1.0, attempts: int = 4) -> bool:
    """Whether one BMC (a pinned IP address) answers within `attempts` times `timeout` seconds.

    :raises BmcError: when `address` is not an IP address
    """
    return bool(sweep([(address, port)], attempts=attempts, timeout=timeout).alive)


def sweep(
    targets: Iterable[Peer], *, attempts: int = 4, timeout: float = 1.0, window: int = 1024
) -> SweepResult:
    """Ask many BMCs at once; lasts at least `attempts` times `timeout` seconds when one of them is dark.

    :param targets: pinned IP addresses and ports; one that is given twice is asked once
    :param window: so many requests are sent before answers are waited for, fewer where the buffer is small
    :raises BmcError: when a target is not an IP address
    """
    peers = set(targets)
    families: dict[socket.AddressFamily, dict[SocketAddress, Peer]] = {}
    for peer in peers:
        family, where = socket_address(*peer)
        families.setdefault(family, {})[where] = peer
    dark: set[Peer] = set()
    for family, members in families.items():
        with _Sweep(family, members, window) as run:
            for _ in range(attempts):
                run.ask(timeout)
            dark |= run.dark()
    return SweepResult(frozenset(peers - dark), frozenset(dark))


def system_guid(address: str, port: int, *, timeout: float = 1.0, attempts: int = 2) -> str | None:
    """The System GUID as the BMC gives it without a session (32 hex digits as on the wire); None if it does
    not.

    :raises BmcError: when `address` is not an IP address
    """
    family, where = socket_address(address, port)
    with socket.socket(family, socket.SOCK_DGRAM) as sock, contextlib.suppress(OSError):
        sock.connect(where)  # from here on the kernel drops what comes from elsewhere
        for sequence in range(attempts):
            sock.send(rmcp.system_guid_request(sequence))
            deadline = time.monotonic() + timeout
            while (left := deadline - time.monotonic()) > 0:
                sock.settimeout(left)
                with contextlib.suppress(BmcError, TimeoutError):
                    return rmcp.parse_guid(sock.recv(_DATAGRAM), sequence)
    return None


class _Sweep:
    """The BMCs of one address family that have not answered yet, and the socket they are asked through.

    A BMC has one rqSeq for the whole sweep, so that the late answer to an earlier attempt counts as well.
    """

    def __init__(self, family: socket.AddressFamily, members: dict[SocketAddress, Peer], window: int) -> None:
        self._silent = {
            where: (number % rmcp.SEQUENCES, peer) for number, (where, peer) in enumerate(members.items())
        }
        self._sock = socket.socket(family, socket.SOCK_DGRAM)
        self._sock.setblocking(False)
        force = getattr(socket, "SO_RCVBUFFORCE", 33)  # value of asm-generic/socket.h; needs CAP_NET_ADMIN
        try:
            self._sock.setsockopt(socket.SOL_SOCKET, force, _RECEIVE_BUFFER)
        except OSError:
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        granted = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        self._window = max(1, min(window, granted // _ANSWER_COST))
        self._poll = select.poll()  # select() cannot take descriptors above 1023
        self._poll.register(self._sock, select.POLLIN)

    def __enter__(self) -> _Sweep:
        return self

    def __exit__(self, *_: object) -> None:
        self._sock.close()

    def dark(self) -> set[Peer]:
        """Who has not answered so far."""
        return {peer for _, peer in self._silent.values()}

    def ask(self, timeout: float) -> None:
        """One attempt: ask everybody who is silent, and wait `timeout` seconds for the last of them."""
        silent = list(self._silent)
        for start in range(0, len(silent), self._window):
            burst = silent[start : start + self._window]
            for where in burst:
                if known := self._silent.get(where):
                    with contextlib.suppress(
                        OSError
                    ):  # unreachable, refused, no buffer: the same as no answer
                        self._sock.sendto(_REQUESTS[known[0]], where)
            self._listen(_BURST_SECONDS, len(self._silent) - len(burst))
        self._listen(timeout, 0)

    def _listen(self, seconds: float, enough: int) -> None:
        """Read answers until only `enough` BMCs are silent, or nothing has arrived by the deadline."""
        deadline = time.monotonic() + seconds
        while len(self._silent) > enough:
            now = time.monotonic()  # before reading: what arrived in time is in the buffer by now
            self._drain()
            if now >= deadline:
                return
            if len(self._silent) > enough:
                self._poll.poll((deadline - now) * 1000)

    def _drain(self) -> None:
        receive, silent = self._sock.recvfrom, self._silent
        while True:
            try:
                packet, where = receive(_DATAGRAM)
            except BlockingIOError:
                return
            known = silent.get(where)
            if known is None:
                continue
            with contextlib.suppress(BmcError):
                if rmcp.parse_alive(packet) == known[0]:
                    del silent[where]
