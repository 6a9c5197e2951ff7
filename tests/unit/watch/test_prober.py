"""Connections to many hosts at once have their turns."""

import asyncio

from bmc_healer.config.settings import HostSettings
from bmc_healer.watch import channel, prober

HOSTS = [HostSettings(f"h{number}", "127.0.0.1", "ssh") for number in range(300)]


def test_no_more_than_some_are_opened_at_once_and_all_are(monkeypatch):
    opening, most, opened = set(), [], []

    async def connect(self):
        opening.add(self.host.name)
        most.append(len(opening))
        await asyncio.sleep(0.01)
        opening.remove(self.host.name)
        opened.append(self.host.name)
        raise OSError("that is all")

    monkeypatch.setattr(channel.Channel, "_open", connect)

    async def look():
        probers = prober.Probers()
        looks = (probers(host).sample() for host in HOSTS)
        return await asyncio.gather(*looks, return_exceptions=True)

    found = asyncio.run(look())
    assert len(opened) == len(found) == len(HOSTS) and all("that is all" in str(error) for error in found)
    assert max(most) == prober.OPENING_AT_ONCE
