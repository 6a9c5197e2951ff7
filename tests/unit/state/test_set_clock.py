"""A clock that is set back while a deed is under way hides no delay."""

from bmc_healer.state.heal_state import HealState
from tests.unit.clock import Clock
from tests.unit.state.test_deed import Engine, refused


def set_back(datastore, clock, **how):
    """A state whose clock is set back by an hour after its first reading, and the clock that nobody sets."""
    steady = Clock(0.0)
    now = clock()
    clocks = {"clock": lambda: now + steady() - 3600.0 * (steady() > 0), "steady": steady}
    return HealState(datastore, **clocks, sleep=steady.sleep, executions=Engine(clock), **how), steady


def test_late_is_late_by_a_clock_that_was_set_back(datastore, clock, claim):
    ref = claim(execution="e1")
    state, steady = set_back(datastore, clock)
    with state.deed(ref, "oob", clock() + 60) as deed:
        steady.sleep(59)
        deed.may_send()
        steady.sleep(2)
        assert "1 s too late" in refused(deed)


def test_missed_renewals_are_missed_by_a_clock_that_was_set_back(datastore, clock, claim):
    ref = claim(execution="e1")
    state, steady = set_back(datastore, clock, heartbeat_seconds=30)
    with state.deed(ref, "oob", clock() + 600) as deed:
        steady.sleep(89)
        deed.may_send()
        steady.sleep(2)
        assert "heartbeat could not be renewed" in refused(deed)
