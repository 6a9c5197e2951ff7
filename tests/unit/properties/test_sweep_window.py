"""The window of the sweep: no answer of a made-up network finds the receive buffer full: no false deaths."""

from __future__ import annotations

import heapq
import socket
from types import SimpleNamespace
from unittest.mock import patch

from hypothesis import strategies as st

from bmc_healer.bmc import ping, rmcp
from tests.unit.properties.strategies import whatever

ROOM = 2304  # bytes of buffer that an answer costs with the greediest network drivers


def answer(sequence):
    """What a BMC says to Get Channel Authentication Capabilities with this rqSeq."""
    head = [0x81, 0x1C]
    body = [0x20, sequence << 2, 0x38, 0x00, 0x01, 0x97, 0x04, 0x03, 0, 0, 0, 0]
    message = [*head, -sum(head) & 0xFF, *body, -sum(body) & 0xFF]
    return bytes([6, 0, 0xFF, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, len(message), *message])


class Net:
    """Time, one socket and its buffer. BMC n answers the attempts it hears, each after its own delay."""

    def __init__(self, delays, losses, room, lag):
        self.delays, self.losses, self.room, self.lag = delays, losses, room, lag
        self.now, self.buffer, self.flying, self.full, self.asked = 0.0, [], [], 0, {}

    def sendto(self, request, where):
        n = int(where[0].rpartition(".")[2])
        self.asked[n] = self.asked.get(n, 0) + 1
        delay = self.delays[n]
        if delay is not None and self.asked[n] not in self.losses[n]:
            heapq.heappush(
                self.flying, (self.now + delay, len(self.asked), answer(rmcp_sequence(request)), where)
            )

    def pass_time(self, until):
        while self.flying and self.flying[0][0] <= until:
            _, _, packet, where = heapq.heappop(self.flying)
            if len(self.buffer) >= self.room:
                self.full += 1
            else:
                self.buffer.append((packet, where))
        self.now = until

    def recvfrom(self, size):
        if not self.buffer:
            raise BlockingIOError
        return self.buffer.pop(0)

    def poll(self, milliseconds):
        """Wakes at the first answer or at the end, and late, since the machine has other things to do."""
        wake = self.now + max(milliseconds, 0) / 1000
        if self.flying:
            wake = min(wake, max(self.flying[0][0], self.now))
        self.pass_time(wake + self.lag)

    def setblocking(self, on): ...
    def setsockopt(self, *what): ...
    def close(self): ...
    def register(self, *what): ...

    def getsockopt(self, *what):
        return self.room * ROOM


def rmcp_sequence(request):
    """rqSeq of our own request: byte 4 of the message behind the 14 of RMCP and session header."""
    return request[14 + 4] >> 2


fleets = st.lists(st.one_of(st.floats(0.0, 0.015), st.none()), min_size=1, max_size=80)


@whatever(fleets, st.integers(1, 40), st.integers(1, 60), st.floats(0.0, 0.03), st.data())
def test_no_false_death_and_never_more_under_way_than_the_buffer_holds(delays, room, window, lag, data):
    lost = st.sets(st.integers(1, 3), max_size=3)  # of four attempts; one always gets through
    losses = [data.draw(lost) for _ in delays] if len(delays) < 12 else [set() for _ in delays]
    net = Net(delays, losses, room, lag)
    sockets = SimpleNamespace(**{n: getattr(socket, n) for n in dir(socket) if n.isupper()})
    sockets.socket = lambda *_: net
    sockets.AddressFamily = socket.AddressFamily
    with (
        patch.object(ping, "socket", sockets),
        patch.object(ping, "select", SimpleNamespace(poll=lambda: net, POLLIN=1, POLLOUT=4)),
        patch.object(ping, "time", SimpleNamespace(monotonic=lambda: net.now)),
    ):
        peers = [(f"127.9.0.{n}", 623) for n in range(len(delays))]
        found = ping.sweep(peers, window=window)
    assert net.full == 0, "an answer found the buffer full"
    assert found.alive == {peer for peer, delay in zip(peers, delays, strict=True) if delay is not None}
    assert found.dark == set(peers) - found.alive
    for number, delay in enumerate(delays):
        assert net.asked[number] <= 4 and (delay is not None or net.asked[number] == 4)


def test_the_made_up_answer_is_one():
    for sequence in (0, 1, rmcp.SEQUENCES - 1):
        assert rmcp.parse_alive(answer(sequence)) == sequence
        assert rmcp_sequence(rmcp.auth_capabilities_request(sequence)) == sequence
