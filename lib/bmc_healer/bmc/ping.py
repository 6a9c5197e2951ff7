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
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

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
_SMALLEST_COST = 512  # and at least; so many datagrams at most can be in the buffer at any moment
_BURST_SECONDS = 0.05  # answers that take longer than this trickle in and cannot overrun the buffer
_CHUNK = 32  # requests that leave before answers are read
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
    """Ask many BMCs at once; lasts a little over `attempts` times `timeout` seconds when one of them is dark.

    :param targets: pinned IP addresses and ports; one that is given twice is asked once
    :param window: so many answers may be under way at once, fewer where the buffer is small
    :raises BmcError: when a target is not an IP address
    """
    peers = dict.fromkeys(targets)
    places: dict[Peer, SocketAddress] = {}  # where it is not the peer itself: IPv6, in whatever spelling
    families: dict[socket.AddressFamily, dict[SocketAddress, None]] = {}
    for peer in peers:
        family, where = socket_address(*peer)
        if where == peer:
            where = peer  # one tuple less for each of 10,000
        else:
            places[peer] = where
        families.setdefault(family, {})[where] = None
    with _Sweep({family: list(members) for family, members in families.items()}, window) as run:
        run.run(attempts, timeout)
    dark = frozenset(peer for peer in peers if places.get(peer, peer) in run.silent)
    return SweepResult(frozenset(peers) - dark, dark)


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


class _Asked(NamedTuple):
    """Some BMCs that were asked `attempts` times so far, and until when they may answer the latest."""

    until: float
    attempts: int
    sock: socket.socket
    members: list[SocketAddress]


class _Sweep:
    """The BMCs that have not answered yet, and the sockets, one for each family, they are asked through.

    A BMC has one rqSeq for the whole sweep, so that the late answer to an earlier attempt counts as well.
    """

    def __init__(self, families: dict[socket.AddressFamily, list[SocketAddress]], window: int) -> None:
        self.silent: dict[SocketAddress, int] = {}
        self._socks: list[socket.socket] = []
        self._poll = select.poll()  # select() cannot take descriptors above 1023
        self._queue: deque[_Asked] = deque()
        self._recent: deque[tuple[float, list[SocketAddress]]] = deque()
        self._window = window
        self._most = 0
        for family in families:
            self._open(family)
        size = min(_CHUNK, self._window)
        for sock, members in zip(self._socks, families.values(), strict=True):
            self.silent |= {where: number % rmcp.SEQUENCES for number, where in enumerate(members)}
            self._queue += [
                _Asked(0.0, 0, sock, members[start : start + size]) for start in range(0, len(members), size)
            ]

    def __enter__(self) -> _Sweep:
        return self

    def __exit__(self, *_: object) -> None:
        for sock in self._socks:
            sock.close()

    def run(self, attempts: int, timeout: float) -> None:
        """Ask everybody up to `attempts` times, `timeout` seconds apart; who is `silent` then is dark."""
        while self._queue:
            now = time.monotonic()  # before reading: what arrived in time is in the buffer by now
            self._drain()
            if not self.silent:
                return
            asked = self._queue[0]  # the next to be judged: every attempt waits equally long
            wait = asked.until - now
            if wait <= 0:
                left = [where for where in asked.members if where in self.silent]
                if not left or asked.attempts == attempts:
                    self._queue.popleft()
                    continue
                wait = self._full(len(left), now)
                if wait <= 0:
                    self._queue.popleft()
                    self._send(asked.sock, left)
                    sent = time.monotonic()
                    self._queue.append(_Asked(sent + timeout, asked.attempts + 1, asked.sock, left))
                    self._recent.append((sent, left))
                    continue
            self._poll.poll(wait * 1000)

    def _open(self, family: socket.AddressFamily) -> None:
        sock = socket.socket(family, socket.SOCK_DGRAM)
        self._socks.append(sock)
        sock.setblocking(False)
        force = getattr(socket, "SO_RCVBUFFORCE", 33)  # value of asm-generic/socket.h; needs CAP_NET_ADMIN
        try:
            sock.setsockopt(socket.SOL_SOCKET, force, _RECEIVE_BUFFER)
        except OSError:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        granted = sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        self._most = max(self._most, granted // _SMALLEST_COST)
        self._window = max(1, min(self._window, granted // _ANSWER_COST))
        self._poll.register(sock, select.POLLIN)

    def _full(self, more: int, now: float) -> float:
        """Seconds to wait before `more` requests may leave; an answer may come first and make room."""
        recent = self._recent
        while recent and recent[0][0] + _BURST_SECONDS <= now:
            recent.popleft()
        if sum(len(members) for _, members in recent) + more <= self._window:
            return 0.0
        for _, members in recent:
            members[:] = [where for where in members if where in self.silent]
        if sum(len(members) for _, members in recent) + more <= self._window:
            return 0.0
        return recent[0][0] + _BURST_SECONDS - now

    def _send(self, sock: socket.socket, members: list[SocketAddress]) -> None:
        for where in members:
            request = _REQUESTS[self.silent[where]]
            with contextlib.suppress(OSError):  # unreachable, refused: the same as no answer
                try:
                    sock.sendto(request, where)
                except BlockingIOError:  # the network card is slower than we are
                    room = select.poll()
                    room.register(sock, select.POLLOUT)
                    room.poll(_BURST_SECONDS * 1000)
                    sock.sendto(request, where)

    def _drain(self) -> None:
        silent = self.silent
        for sock in self._socks:
            receive = sock.recvfrom
            for _ in range(self._most):  # all that can be there now; somebody may send without end
                try:
                    packet, where = receive(_DATAGRAM)
                    if silent.get(where) == rmcp.parse_alive(packet):
                        del silent[where]
                except BlockingIOError:
                    break
                except BmcError:
                    continue
