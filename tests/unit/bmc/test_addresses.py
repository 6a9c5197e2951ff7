import random
import threading
import time

import pytest

from bmc_healer.bmc import addresses
from bmc_healer.bmc.addresses import AT_ONCE, KEEP_SECONDS, Addresses, pinned
from bmc_healer.config.settings import BmcSettings, HostSettings
from bmc_healer.errors import BmcError


def host(name, address):
    return HostSettings(name, name, "none", bmc=BmcSettings(address, credential="dell"))


class NameServer:
    """Stands in for the resolver: what it knows, and when it may answer."""

    def __init__(self, monkeypatch):
        self.asked = []
        self.knows = {}
        self.answers = threading.Event()
        self.answers.set()
        self.most = self.now = 0
        self.counting = threading.Lock()
        monkeypatch.setattr(addresses, "resolve", self.resolve)

    def resolve(self, name):
        with self.counting:
            self.asked.append(name)
            self.now += 1
            self.most = max(self.most, self.now)
        assert self.answers.wait(30)
        with self.counting:
            self.now -= 1
        if name not in self.knows:
            raise BmcError("the BMC's name cannot be resolved", name)
        return self.knows[name]


@pytest.fixture
def names(monkeypatch):
    server = NameServer(monkeypatch)
    yield server
    server.answers.set()


class Seen:
    """Addresses with a clock and what they tell."""

    def __init__(self, seed=1):
        self.now, self.told = 1000.0, []
        self.addresses = Addresses(self.told.append, lambda: self.now, random.Random(seed))

    def peers(self, fleet):
        """What is known when all lookups that are due have ended."""
        self.addresses.peers(fleet)
        deadline = time.monotonic() + 10
        while any(thread.name == "names" for thread in threading.enumerate()):
            assert time.monotonic() < deadline
            time.sleep(0.005)
        return self.addresses.peers(fleet)


FLEET = [host("db01", "10.1.0.5"), host("db02", "db02-bmc"), host("db03", "2001:db8::5")]
PEERS = {"db01": ("10.1.0.5", 623), "db02": ("10.1.0.6", 623), "db03": ("2001:db8::5", 623)}


def test_only_names_are_looked_up_and_only_once_in_a_while(names):
    names.knows["db02-bmc"] = "10.1.0.6"
    seen = Seen()
    assert [seen.peers(FLEET) for _ in range(2)] == [PEERS] * 2
    assert names.asked == ["db02-bmc"]
    seen.now += KEEP_SECONDS
    names.knows["db02-bmc"] = "10.1.0.7"
    assert seen.addresses.peers(FLEET) == PEERS  # as last known, until the name server has answered
    assert seen.peers(FLEET) == PEERS | {"db02": ("10.1.0.7", 623)}
    seen.now += KEEP_SECONDS
    del names.knows["db02-bmc"]  # the name server is down: the last address holds
    assert seen.peers(FLEET) == PEERS | {"db02": ("10.1.0.7", 623)}
    assert (names.asked, seen.told) == (["db02-bmc"] * 3, [])


def test_a_name_server_that_does_not_answer_is_waited_for_by_nobody(names):
    names.knows = {f"h{n}-bmc": f"10.2.0.{n}" for n in range(20)}
    names.answers.clear()
    fleet = [FLEET[0], *(host(f"h{n}", f"h{n}-bmc") for n in range(20))]
    seen = Seen()
    for _ in range(50):
        assert seen.addresses.peers(fleet) == {"db01": ("10.1.0.5", 623)}
    began = time.monotonic()
    seen.addresses.wait(0.2)
    assert 0.15 < time.monotonic() - began < 5
    names.answers.set()
    seen.addresses.wait(10)
    assert len(seen.addresses.peers(fleet)) == 21
    assert sorted(names.asked) == sorted(names.knows) and names.most == AT_ONCE and seen.told == []


def test_names_that_were_learnt_together_are_not_looked_up_again_together(names):
    names.knows = {f"h{n}-bmc": f"10.2.0.{n}" for n in range(100)}
    fleet = [host(f"h{n}", f"h{n}-bmc") for n in range(100)]
    seen, asked = Seen(), []
    seen.peers(fleet)
    for _ in range(10):
        before = len(names.asked)
        seen.now += KEEP_SECONDS / 10
        seen.peers(fleet)
        asked.append(len(names.asked) - before)
    assert sum(asked) == 100 and max(asked) < 40


def test_a_name_that_never_resolved_is_told_once_and_left_out_until_it_does(names):
    seen, fleet = Seen(), [host("db02", "db02-bmc")]
    for _ in range(3):
        assert seen.peers(fleet) == {}
        seen.now += KEEP_SECONDS
    assert len(names.asked) == 3 and len(seen.told) == 1 and "db02-bmc" in seen.told[0]
    names.knows["db02-bmc"] = "10.1.0.6"
    assert seen.peers(fleet) == {"db02": ("10.1.0.6", 623)}


def test_one_look_waits_for_all_names(names):
    names.knows["db02-bmc"] = "10.1.0.6"
    told = []
    assert pinned([*FLEET, host("db04", "db04-bmc"), HostSettings("x", "x", "local")], told.append) == PEERS
    assert "db04-bmc" in told[0] and len(told) == 1
