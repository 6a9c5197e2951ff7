"""The BMC's network side: a UDP relay to ipmi_sim that can be dead, slow or noisy, and that counts logins.

The relay keeps the BMC's port through resets, and makes a dark BMC silent (a dead ipmi_sim's port would
answer with ICMP errors, which no dark BMC does).
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
from enum import Enum
from typing import Any

# RMCP+ (IPMI 2.0, chapter 13): byte 4 is the authentication type (6: RMCP+), byte 5 the payload type in its
# low six bits (0x12: RAKP message 1, the first message that names a user); the payload starts at byte 16 and
# holds the session id the BMC gave in bytes 4 to 7.
RMCP_PLUS = 0x06
RAKP_1 = 0x12
PAYLOAD = 16
MAX_DATAGRAM = 4096
CLIENTS = 256  # links kept to ipmi_sim; the oldest client is forgotten first

Address = tuple[str, int]


class LanMode(str, Enum):
    """`dead`: nothing gets through either way; `garbage`: every datagram is answered with noise."""

    OK = "ok"
    DEAD = "dead"
    GARBAGE = "garbage"


def login_attempt(datagram: bytes) -> bytes | None:
    """The session id of a RAKP message 1, the same for its retransmissions; None for anything else."""
    if len(datagram) < PAYLOAD + 8 or datagram[4] != RMCP_PLUS or datagram[5] & 0x3F != RAKP_1:
        return None
    return datagram[PAYLOAD + 4 : PAYLOAD + 8]


class LanSide(asyncio.DatagramProtocol):
    """The relay: one upstream socket per client address, as ipmi_sim tells sessions apart by address too."""

    def __init__(self, noise: random.Random) -> None:
        self.mode = LanMode.OK
        self.delay = 0.0
        self.dark = False
        self.received = 0
        self.lost = 0
        self.logins: set[tuple[Address, bytes]] = set()
        self._noise = noise
        self._sim_port: int | None = None
        self._transport: asyncio.DatagramTransport | None = None
        self._upstreams: dict[Address, socket.socket] = {}

    def connection_made(self, transport: Any) -> None:
        """The BMC's port is open."""
        self._transport = transport

    def use(self, sim_port: int) -> None:
        """Relay to a (new) ipmi_sim; links to the old one are forgotten."""
        self.forget()
        self._sim_port = sim_port

    def forget(self) -> None:
        """Drop every link to ipmi_sim."""
        self._sim_port = None
        for addr in list(self._upstreams):
            self._close(addr)

    def datagram_received(self, data: bytes, addr: Address) -> None:
        """A client's datagram."""
        self.received += 1
        if self.dark or self.mode is LanMode.DEAD:
            self.lost += 1
            return
        session = login_attempt(data)
        if session is not None:
            self.logins.add((addr, session))
        if self.mode is LanMode.GARBAGE:
            self.answer(self._noise.randbytes(self._noise.randint(1, 200)), addr)
            return
        asyncio.get_running_loop().call_later(self.delay, self._relay, data, addr)

    def _relay(self, data: bytes, addr: Address) -> None:
        if self._sim_port is None:
            return
        upstream = self._upstreams.get(addr)
        if upstream is None:
            if len(self._upstreams) >= CLIENTS:
                self._close(next(iter(self._upstreams)))
            upstream = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            upstream.setblocking(False)
            upstream.connect(("127.0.0.1", self._sim_port))
            asyncio.get_running_loop().add_reader(upstream, self._from_sim, upstream, addr)
            self._upstreams[addr] = upstream
        with contextlib.suppress(OSError):  # ipmi_sim just died: the datagram is lost, as on a network
            upstream.send(data)

    def _from_sim(self, upstream: socket.socket, addr: Address) -> None:
        with contextlib.suppress(OSError):
            self.answer(upstream.recv(MAX_DATAGRAM), addr)

    def _close(self, addr: Address) -> None:
        upstream = self._upstreams.pop(addr)
        asyncio.get_running_loop().remove_reader(upstream)
        upstream.close()

    def answer(self, data: bytes, addr: Address) -> None:
        """A datagram for a client, unless the side is dark or dead by now."""
        if self._transport is not None and not self.dark and self.mode is not LanMode.DEAD:
            self._transport.sendto(data, addr)

    def zero(self) -> None:
        """Counters to zero."""
        self.received = self.lost = 0
        self.logins.clear()
