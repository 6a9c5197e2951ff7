"""Connections to many hosts at once have their turns."""

import asyncio
import socket

import pytest

from bmc_healer.config.settings import HostSettings
from bmc_healer.errors import HostAccessError
from bmc_healer.watch import channel, prober

HOSTS = [HostSettings(f"h{number}", "127.0.0.1", "ssh") for number in range(300)]


def looked(monkeypatch, reach, log_in):
    """What looking at all hosts at once gave, and how many were at most reached and logged in to at once."""
    most = {"reach": [], "log_in": []}
    sockets = []

    def counted(name, step):
        under_way = set()

        async def run(host):
            under_way.add(host.name)
            most[name].append(len(under_way))
            try:
                return await step(host)
            finally:
                under_way.remove(host.name)

        return run

    async def connected(host):
        await reach(host)
        sockets.append(socket.socket())
        return sockets[-1]

    steps = {"reach": counted("reach", connected), "log_in": counted("log_in", log_in)}
    monkeypatch.setattr(channel, "reach", steps["reach"])
    monkeypatch.setattr(channel.Channel, "_open", lambda self, sock: steps["log_in"](self.host))

    async def look():
        probers = prober.Probers()
        looks = (probers(host).sample() for host in HOSTS)
        return await asyncio.gather(*looks, return_exceptions=True)

    found = asyncio.run(look())
    assert all(sock.fileno() == -1 for sock in sockets)
    return found, max(most["reach"], default=0), max(most["log_in"], default=0)


async def briefly(host):
    await asyncio.sleep(0.01)


async def refused(host):
    await asyncio.sleep(0.01)
    raise OSError("that is all")


def test_no_more_than_some_are_opened_at_once_and_all_are(monkeypatch):
    found, _, most = looked(monkeypatch, briefly, refused)
    assert len(found) == len(HOSTS) and all("that is all" in str(error) for error in found)
    assert most == prober.OPENING_AT_ONCE


def test_no_more_than_some_are_reached_for_at_once_and_all_are(monkeypatch):
    async def nobody(host):
        await asyncio.sleep(0.01)
        raise HostAccessError("nobody is there", host.name)

    monkeypatch.setattr(prober, "REACHING_AT_ONCE", 50)
    found, most, opened = looked(monkeypatch, nobody, refused)
    assert all("nobody is there" in str(error) for error in found)
    assert (most, opened) == (50, 0)


def test_hosts_taken_away_while_they_wait_leave_nothing_open(monkeypatch):
    """One host has the only turn; another has been reached and waits for it."""
    monkeypatch.setattr(prober, "OPENING_AT_ONCE", 1)
    sockets = []

    async def reach(host):
        sockets.append(socket.socket())
        return sockets[-1]

    async def forever(self, sock):
        await asyncio.Event().wait()

    monkeypatch.setattr(channel, "reach", reach)
    monkeypatch.setattr(channel.Channel, "_open", forever)

    async def main():
        probers = prober.Probers()
        looks = [asyncio.ensure_future(probers(host).sample()) for host in HOSTS[:3]]
        while len(sockets) < 3:
            await asyncio.sleep(0)
        for look in looks:
            look.cancel()
            with pytest.raises(asyncio.CancelledError):
                await look

    asyncio.run(main())
    assert [sock.fileno() for sock in sockets] == [-1, -1, -1]
