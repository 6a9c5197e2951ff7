"""Heals without a lock that died: found, and never one that lives, waits or holds a lock."""

import pytest

from bmc_healer.executions import ExecutionInfo
from bmc_healer.state.lost import lost_heals
from tests.unit.clock import NOW

LIMIT = 120.0
OLD = NOW - 121.0
RECENT = NOW - 119.0


class Engine:
    """What runs: heals, and the tasks of the one that is asked about."""

    def __init__(self, tasks=(), *, status="running", host="db01", since=OLD, action="bmc_healer.heal"):
        self.runs = [ExecutionInfo("e1", status, action, host=host, since=since)]
        self.tasks = tuple(
            ExecutionInfo(f"t{n}", *task, parent="e1", since=at) for n, (task, at) in enumerate(tasks)
        )

    def busy(self, action):
        return tuple(run for run in self.runs if run.action == action)

    def children(self, execution):
        assert execution == "e1"
        return self.tasks


def lost(engine, state, **asked):
    found = lost_heals(engine, state.fleet().locks, state.host, NOW, LIMIT, **asked)
    return [(heal.run.id, heal.host, heal.silent_seconds) for heal in found]


RUNNING, ENDED = ("running", "bmc_healer.begin_heal"), ("succeeded", "bmc_healer.begin_heal")
DEAD = {
    "a runner died in its first task": Engine([(RUNNING, OLD)]),
    "an engine died before its first task": Engine(),
    "an engine died between two tasks": Engine([(ENDED, OLD)]),
    "a runner died in its last message": Engine([(ENDED, OLD), (("running", "bmc_healer.notify"), OLD)]),
    "somebody has cancelled what was dead": Engine([(("canceling", "x"), OLD)], status="canceling"),
    "a rule started it": Engine([(RUNNING, OLD)], action="bmc_healer.heal_request"),
    "it was typed in capitals": Engine([(RUNNING, OLD)], host="DB01"),
}


@pytest.mark.parametrize("how", DEAD)
def test_found(state, how):
    assert lost(DEAD[how], state) == [("e1", "db01", 121.0)]


ALIVE = {
    "young": Engine([(RUNNING, RECENT)], since=RECENT),
    "its task has just begun": Engine([(ENDED, OLD), (RUNNING, RECENT)]),
    "its task has just ended": Engine([(ENDED, RECENT)]),
    "another begin_heal is waited for": Engine([(("delayed", "bmc_healer.begin_heal"), OLD)]),
    "no runner is free": Engine([(("requested", "bmc_healer.begin_heal"), OLD)]),
    "a person paused it": Engine([(("paused", "bmc_healer.notify"), OLD)]),
    "whose host has no name": Engine([(RUNNING, OLD)], host="{{ st2kv.system.x }}"),
}


@pytest.mark.parametrize("how", ALIVE)
def test_left_alone(state, how):
    assert lost(ALIVE[how], state) == []


def test_a_heal_with_a_lock_has_a_heartbeat_of_its_own(state, claim):
    claim(execution="e1")
    assert lost(Engine([(RUNNING, OLD)]), state) == []


def test_a_task_that_takes_long_without_a_lock_gives_signs_of_life(state):
    engine = Engine([(RUNNING, OLD)])
    with state.alive_without_lock("db01", "e1"):
        assert lost(engine, state) == []
    assert lost(engine, state) == [("e1", "db01", 121.0)]
    with state.alive_without_lock("db01", "e2"):
        assert lost(engine, state) != []


def test_only_one_host_is_asked_about(state):
    assert lost(Engine(), state, only="db01") and not lost(Engine(), state, only="db02")
