"""packrunner and StackStorm come to the same: the scenarios of `equivalence/scenarios`, done to both."""

from __future__ import annotations

import getpass
import socket
from collections.abc import Iterator
from difflib import unified_diff
from typing import Any

import pytest
import yaml

from tests.guest.chat import Chat
from tests.guest.healer import guest_host
from tests.stackstorm.equivalence.engine import Engine
from tests.stackstorm.equivalence.packrunner_engine import Packrunner
from tests.stackstorm.equivalence.play import Play
from tests.stackstorm.equivalence.record import ending, record
from tests.stackstorm.equivalence.stackstorm_engine import StackStorm
from tests.stackstorm.equivalence.table import Scenario, scenarios


@pytest.fixture
def engines(product, tmp_path) -> Iterator[list[Engine]]:
    """Both, with nothing in their datastores."""
    embedded = Packrunner(tmp_path)
    yield [embedded, StackStorm(product, getpass.getuser())]
    embedded.close()


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A TCP port that nobody listens on, for as long as the test lasts."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.mark.parametrize("scenario", scenarios("alone", "local", "unreachable"), ids=lambda row: row.id)
def test_both_come_to_the_same(scenario, engines, sim, chat, closed_port):
    bmc = {"address": "127.0.0.1", "port": sim.lan_port, "credential": "lab"}
    host = {
        "alone": {"transport": "none", "bmc": {**bmc, "identity": "trust"}},
        "local": {"transport": "local", "bmc": bmc},
        "unreachable": {"address": "127.0.0.1", "ssh": {"port": closed_port}, "bmc": bmc},
    }[scenario.host]
    compare(scenario, [played(scenario, engine, sim, chat, host) for engine in engines])


@pytest.mark.parametrize("scenario", scenarios("guest"), ids=lambda row: row.id)
def test_both_come_to_the_same_on_a_guest(scenario, engines, lab, chat):
    compare(scenario, [played(scenario, engine, lab, chat, guest_host(lab)) for engine in engines])


def played(scenario: Scenario, engine: Engine, bmc: Any, chat: Chat, host: dict[str, Any]) -> dict[str, Any]:
    """The record of one scenario on one engine, which begins with everything as new."""
    chat.heard.clear()
    play = Play(scenario, engine, bmc, chat, host)
    play.go()
    seen = record(scenario, engine, play.runs, bmc.bmc.status(), chat)
    getattr(bmc, "restore", bmc.bmc.restore)()
    return seen


def compare(scenario: Scenario, seen: list[dict[str, Any]]) -> None:
    """First with the table, so that both cannot be wrong alike, then with each other."""
    for engine, each in zip(("packrunner", "stackstorm"), seen, strict=True):
        got = {
            "ends": [ending(run) for run in each["runs"]],
            "resets": len(each["bmc"]["resets"]),
            "titles": [message["title"] for message in each["chat"]],
            "left": each["left"],
        }
        expected = {name: getattr(scenario, name) for name in got}
        if scenario.in_any_order:
            for one in (got, expected):
                one.update(ends=sorted(one["ends"]), titles=sorted(one["titles"]))
        assert got == expected, f"{engine}:\n{text(each)}"
    packrunner, stackstorm = (text(each).splitlines() for each in seen)
    difference = list(unified_diff(packrunner, stackstorm, "packrunner", "stackstorm", lineterm=""))
    assert not difference, "\n".join(difference)


def text(seen: dict[str, Any]) -> str:
    """A record line by line, so that a difference is one."""
    return yaml.safe_dump(seen, sort_keys=False, width=1000)
