"""status of one host: the pause that covers it is said, whether of the host, of its label or of the fleet."""

from __future__ import annotations

import pytest

from bmc_healer.verbs.people import status
from tests.unit.clock import NOW
from tests.unit.verbs import runtime


@pytest.mark.parametrize(
    ("target", "typed"), [("host=db01", "db01"), ("rack=r12", "rack:r12"), ("fleet", "fleet")]
)
def test_the_status_of_a_host_tells_of_a_pause_that_covers_it(target, typed):
    rt = runtime()
    rt.state.pause(target, by="jane", reason="switch work", until=NOW + 60)
    known = status(rt, {"host": "db01"})
    assert known["paused"] == typed
    assert f" {typed} is paused by jane, until 2026-11-18 11:07:40 UTC: switch work." in known["sentence"]
    rt.clock.sleep(61)
    known = status(rt, {"host": "db01"})
    assert known["paused"] is None and "paused" not in known["sentence"]


def test_a_pause_without_an_end_lasts_until_resumed():
    rt = runtime()
    rt.state.pause("fleet", by="jane", reason="switch work")
    assert "fleet is paused by jane, until resumed: switch work." in status(rt, {"host": "db01"})["sentence"]


@pytest.mark.parametrize("target", ["host=db02", "rack=r13"])
def test_a_pause_of_others_is_not_told(target):
    rt = runtime()
    rt.state.pause(target, by="jane", reason="switch work")
    assert status(rt, {"host": "db01"})["paused"] is None
