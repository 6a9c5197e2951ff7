"""TCP connections to hosts with several addresses, to silent ones, and to names that are none."""

import asyncio
import gc
import socket
import time
from pathlib import Path

import pytest

from bmc_healer.host import dial as module
from bmc_healer.host.dial import dial, spoken_to
from tests.silence import silent_port

INET = socket.AF_INET


@pytest.fixture
def door():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def open_files():
    gc.collect()  # what earlier tests left is closed now, not in between
    return len(list(Path("/proc/self/fd").iterdir()))


def closed_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def named(monkeypatch, *ports):
    """A name whose addresses are these."""

    async def addresses(address, port):
        return [(INET, ("127.0.0.1", port)) for port in ports]

    monkeypatch.setattr(module, "_addresses", addresses)


def dialled(port, seconds=20.0, address="127.0.0.1"):
    """The port at the other end; nothing else stays open."""
    before = open_files()

    async def main():
        with await dial(address, port, seconds) as sock:
            assert not sock.getblocking()
            return sock.getpeername()[1]

    try:
        return asyncio.run(main())
    finally:
        assert open_files() == before


def test_a_number_and_a_name(door):
    assert dialled(door) == dialled(door, address="localhost") == door


def test_each_address_is_tried_and_a_silent_one_leaves_time_for_the_next(door, monkeypatch):
    with silent_port() as silent:
        named(monkeypatch, closed_port(), silent, door)
        assert dialled(1, seconds=3.0) == door


def test_who_is_silent_is_given_up_in_time(monkeypatch):
    with silent_port() as silent:
        named(monkeypatch, silent, closed_port(), silent)
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            dialled(1, seconds=0.6)
        assert 0.5 < time.monotonic() - began < 5


def test_refusals_are_told(monkeypatch):
    port = closed_port()
    with pytest.raises(ConnectionRefusedError, match=str(port)):
        dialled(port)
    other = closed_port()
    named(monkeypatch, port, port, other)
    with pytest.raises(OSError, match=f"{port}.*; .*{other}"):
        dialled(1)


@pytest.mark.parametrize(("name", "error"), [("db01.invalid", OSError), ("a" * 64 + ".example", ValueError)])
def test_a_name_of_nobody(name, error):
    with pytest.raises(error):
        dialled(22, address=name)


def test_a_resolver_that_hangs_is_given_up(monkeypatch):
    async def addresses(address, port):
        await asyncio.Event().wait()

    monkeypatch.setattr(module, "_addresses", addresses)
    with pytest.raises((TimeoutError, asyncio.TimeoutError)):
        dialled(22, seconds=0.1)


def test_who_stops_dialling_leaves_nothing_open():
    async def main(port):
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(dial("127.0.0.1", port, 60.0), 0.2)

    with silent_port() as port:
        before = open_files()
        asyncio.run(main(port))
        assert open_files() == before


def heard(door, word):
    """What can be read after `spoken_to`, with which nothing stays open."""
    before = open_files()

    async def main():
        with await dial("127.0.0.1", door.getsockname()[1], 20.0) as sock, door.accept()[0] as server:
            asyncio.get_running_loop().call_later(0.05, word, server)
            await spoken_to(sock, 0.5)
            return sock.recv(100)

    try:
        return asyncio.run(main())
    finally:
        assert open_files() == before


def test_a_server_is_waited_for_until_it_speaks_or_leaves():
    with socket.create_server(("127.0.0.1", 0)) as door:
        assert heard(door, lambda server: server.sendall(b"SSH-2.0-")) == b"SSH-2.0-"
        assert heard(door, lambda server: server.shutdown(socket.SHUT_WR)) == b""
        with pytest.raises(asyncio.TimeoutError):
            heard(door, lambda server: None)
