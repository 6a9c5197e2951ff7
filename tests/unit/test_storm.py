"""A hundred begin_heals at once: one lock for a host, no more heals than the budgets of a fleet."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from bmc_healer.verbs.begin_heal import begin_heal
from tests.unit.clock import Clock
from tests.unit.verbs import config, first_looks_ended, host, locks, runtime

STORM = 100


class Still(Clock):
    """A hundred who wait at once take no longer than one: time stands still while they settle."""

    def sleep(self, seconds):
        time.sleep(1.0)  # far more than a hundred threads need to write


def storm(rt, names):
    """Begin a heal of each name; the answers in their order."""
    together = Barrier(len(names))

    def begin(numbered):
        number, name = numbered
        together.wait(30)
        return begin_heal(
            rt, {"host": name, "source": "sensor", "key": f"k{number}", "execution": f"e{number}"}
        )

    with ThreadPoolExecutor(len(names)) as pool:
        answers = list(pool.map(begin, enumerate(names)))
    first_looks_ended()
    return answers


def begun(answers):
    """Those that may heal; all others were refused with a sentence."""
    going = [answer for answer in answers if answer["next"] == "diagnose"]
    others = [answer for answer in answers if answer not in going]
    assert all(answer["outcome"] == "refused" and answer["sentence"].endswith(".") for answer in others)
    return going


def test_one_host():
    rt = runtime(clock=Still())
    (going,) = begun(storm(rt, ["db01"] * STORM))
    (lock,) = locks(rt)
    assert (lock.host, lock.incident) == ("db01", going["incident"])
    assert rt.state.host("db01").fence.incident == going["incident"]


def test_many_hosts_of_one_fleet_and_of_racks():
    names = [f"db{number:03}" for number in range(STORM)]
    hosts = {name: host(bmc=None, rack=f"r{int(name[2:]) % 2}") for name in names}
    for one in hosts.values():
        del one["bmc"]
    rt = runtime(config(hosts), clock=Still())
    going = begun(storm(rt, names))
    held = locks(rt)
    assert sorted(lock.host for lock in held) == sorted(answer["host"] for answer in going)
    racks = [label for lock in held for label in lock.labels]
    assert 0 < len(held) <= 3 and len(racks) == len(set(racks)), "3 at once in a fleet, 1 in a label"
