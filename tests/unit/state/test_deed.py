"""Nothing is sent unless everything that SAFETY 3 asks for holds directly before it."""

import re
import threading

import pytest

from bmc_healer.errors import StateError
from bmc_healer.executions import ExecutionInfo
from bmc_healer.rungs.outcome import DeedRefusedError
from bmc_healer.state import keys
from bmc_healer.state.documents import Lock
from bmc_healer.state.heal_state import HealState
from bmc_healer.state.refs import Refusal


class Engine:
    """Executions in memory."""

    def __init__(self, clock):
        self.status = {"e1": "running"}
        self.clock = clock

    def get(self, execution):
        if self.status is None:
            raise StateError("the engine cannot be asked")
        return ExecutionInfo(execution, self.status[execution]) if execution in self.status else None


@pytest.fixture
def engine(clock):
    return Engine(clock)


@pytest.fixture
def state(datastore, clock, engine):
    return HealState(datastore, clock=clock, steady=clock, sleep=clock.sleep, owner="st2a", executions=engine)


@pytest.fixture
def ref(claim):
    return claim(execution="e1", labels=("rack=r12",))


@pytest.fixture
def deed(state, ref, clock):
    with state.deed(ref, "oob", clock() + 60, boot_id="b00t") as deed:
        yield deed


def refused(deed):
    with pytest.raises(DeedRefusedError) as error:
        deed.may_send()
    assert re.match("The rung oob sent nothing( more)?: .*[.]$", error.value.sentence)
    return error.value.sentence


def test_the_intent_is_there_before_and_closed_with_its_result_after(state, ref, clock):
    with state.deed(ref, "oob", clock() + 60, boot_id="b00t") as deed:
        (intent,) = state.open_intents("db01")
        assert (intent.rung, intent.fence, intent.boot_id, intent.incident) == (
            "oob",
            ref.fence,
            "b00t",
            ref.incident,
        )
        deed.may_send()
        deed.result({"completion_code": 0})
    assert state.open_intents("db01") == ()
    assert state.host("db01").intents[0].result == {"completion_code": 0}


def test_an_exception_after_sending_leaves_it_open(state, ref, clock):
    with pytest.raises(ConnectionError), state.deed(ref, "inband", clock() + 60) as deed:
        deed.may_send()
        raise ConnectionError
    (intent,) = state.open_intents("db01")
    state.close_intent(intent, "its late reset was seen")
    assert state.open_intents("db01") == ()


def test_what_was_never_sent_is_closed(state, ref, clock):
    with pytest.raises(ConnectionError), state.deed(ref, "inband", clock() + 60):
        raise ConnectionError
    assert state.open_intents("db01") == ()


def test_fence_raised_by_tidy(deed, state):
    state.raise_fence("db01")
    assert "fence number 1 was overtaken by 2" in refused(deed)


def test_lock_freed(deed, state, ref):
    state.release(ref)
    assert "does not hold the lock" in refused(deed)


def test_a_second_lock_on_the_same_bmc(deed, state, datastore):
    rival = Lock("0", "db99", "db99-x", "", "10.1.0.1:623", (), "st2b", 1.0)
    state._store.write(keys.key(keys.FLEET, "lock", "db99-x"), rival.__dict__)
    assert "db99-x holds a lock on the same host or BMC" in refused(deed)


@pytest.mark.parametrize("status", ["canceling", "canceled", "paused", "pausing", "succeeded", "abandoned"])
def test_execution_no_longer_running(deed, engine, state, status):
    engine.status["e1"] = status
    assert f"execution e1 is {status}" in refused(deed)
    assert state.fleet().heals == (), "nothing was sent, so nothing counts"


def test_execution_unknown_or_not_to_be_asked(deed, engine):
    engine.status = {}
    assert "unknown to the engine" in refused(deed)
    engine.status = None
    assert "could not be: the engine cannot be asked" in refused(deed)


def test_without_an_engine_a_heal_that_has_an_execution_sends_nothing(datastore, clock, ref):
    blind = HealState(datastore, clock=clock, steady=clock, sleep=clock.sleep)
    with blind.deed(ref, "oob", clock() + 60) as deed:
        assert "cannot be asked" in refused(deed)


def test_a_heal_without_an_execution_needs_no_engine(datastore, clock, state, claim):
    ref = claim(host="db02", bmc=None, execution="")
    blind = HealState(datastore, clock=clock, steady=clock, sleep=clock.sleep)
    with blind.deed(ref, "oob", clock() + 60) as deed:
        deed.may_send()


@pytest.mark.parametrize(
    ("target", "who"), [("fleet", "the fleet"), ("host=db01", "it"), ("rack=r12", "the label rack:r12")]
)
def test_paused(deed, state, target, who):
    state.pause(target, by="kim", reason="maintenance")
    assert f"sent nothing: {who} is paused by kim" in refused(deed)
    state.resume(target)
    deed.may_send()


@pytest.mark.parametrize("label", ["fleet", "rack=r12"])
def test_mass_outage(deed, state, clock, label):
    state.declare_mass_outage(label, ["db01", "db02"], clock() + 300)
    assert "mass outage of" in refused(deed)


def test_another_rack_does_not_matter(deed, state, clock):
    state.pause("rack=r13", by="kim", reason="maintenance")
    state.declare_mass_outage("rack=r13", ["db44"], clock() + 300)
    deed.may_send()


def test_late_counted_after_all_else_has_taken_its_time(deed, clock, datastore):
    datastore.before = lambda operation: clock.sleep(16)
    assert "too late" in refused(deed)


def test_own_checks(state, ref, clock):
    with (
        state.deed(ref, "unload", clock() + 60, checks=lambda: "ipmi_watchdog is loaded") as deed,
        pytest.raises(DeedRefusedError, match="ipmi_watchdog is loaded"),
    ):
        deed.may_send()


def test_the_intent_was_closed_by_somebody_else(deed, state):
    state.close_intent(state.open_intents("db01")[0], "tidied")
    assert "its intent is not open any more" in refused(deed)


def test_after_its_result_nothing_more_is_sent(deed):
    deed.may_send()
    deed.result({})
    said = refused(deed)
    assert "not open any more" in said and "sent nothing more: " in said


def test_a_task_given_to_two_processes_resets_once(state, ref, clock):
    """The second found its turn before the first had ended, and comes to its deed after."""
    with state.deed(ref, "oob", clock() + 60) as first:
        first.may_send()
        with state.deed(ref, "oob", clock() + 60) as second:
            assert "still open" in refused(second)
            first.result({"sent": True})
            assert "has sent its oob reset already" in refused(second)
    with state.deed(ref, "load", clock() + 60) as load:
        load.may_send()


def test_a_reset_that_was_not_sent_may_be_sent_later(state, ref, clock):
    with state.deed(ref, "oob", clock() + 60):
        pass
    with state.deed(ref, "oob", clock() + 60) as again:
        again.may_send()


@pytest.mark.parametrize("fault", ["down", "lose_writes"])
def test_blind(deed, datastore, fault):
    setattr(datastore, fault, True)
    assert "what must be checked before it could not be" in refused(deed)
    setattr(datastore, fault, False)
    deed.may_send()


def test_the_first_deed_counts_for_cooldown_and_budgets_a_look_does_not(state, ref, clock, deed):
    assert state.host("db01").heals == () == state.fleet().heals
    deed.may_send()
    deed.may_send()
    (heal,) = state.fleet().heals
    assert (heal.incident, heal.host, heal.labels) == (ref.incident, "db01", ("rack=r12",))
    clock.sleep(50)
    state.release(ref)
    assert state.host("db01").heals[0].at == clock(), "the cooldown starts at the end"
    assert state.fleet().heals[0].at == clock() - 50


@pytest.mark.parametrize("resets", [True, False])
def test_a_heal_that_resets_nothing_is_remembered_as_such(state, claim, clock, resets):
    """That it began to act must be known, should it die; no budget counts it."""
    ref = claim(labels=("rack=r12",), resets=resets)
    (held,) = state.fleet().locks
    with state.deed(ref, "load", clock() + 60) as load:
        load.may_send()
    state.release(ref)
    (here,), (everywhere,) = state.host("db01").heals, state.fleet().heals
    assert held.resets is here.resets is everywhere.resets is resets


def test_release_gives_back_lock_and_heartbeat(state, ref, claim):
    assert isinstance(claim(), Refusal)
    state.release(ref)
    assert state.fleet().locks == () and state.host("db01").heartbeats == ()
    assert claim().fence == 2


def beating_state(datastore, clock, engine):
    """Its heart beats a hundred times a second."""
    clocks = {"clock": clock, "steady": clock, "sleep": clock.sleep}
    return HealState(datastore, **clocks, executions=engine, heartbeat_seconds=0.01)


def awaited(condition):
    for _ in range(500):
        if condition():
            return True
        threading.Event().wait(0.01)
    return False


def test_the_heartbeat_goes_on_while_inside_and_ends_after(datastore, clock, engine, ref):
    state = HealState(
        datastore, clock=clock, steady=clock, sleep=clock.sleep, executions=engine, heartbeat_seconds=0.01
    )
    beats = []
    datastore.before = lambda operation: beats.append(threading.current_thread()) if operation == "set" else 0
    with state.alive(ref):
        assert awaited(lambda: len(beats) > 3)
        assert state.host("db01").heartbeats[0].incident == ref.incident
    assert not beating()


def test_a_process_whose_engine_died_gives_no_sign_of_life(datastore, clock, engine, ref):
    """Its deed goes on, but not for long: as when renewals fail, nothing more is sent."""
    asked = []

    def orphaned():
        asked.append(clock())
        return len(asked) > 2

    state = HealState(
        datastore,
        clock=clock,
        steady=clock,
        sleep=clock.sleep,
        executions=engine,
        heartbeat_seconds=0.01,
        orphaned=orphaned,
    )
    with state.deed(ref, "oob", clock() + 60) as deed:
        assert awaited(lambda: len(asked) > 2 and not beating())
        last = state.host("db01").heartbeats[0].at
        deed.may_send()
        clock.sleep(0.031)
        assert "heartbeat could not be renewed" in refused(deed)
        assert state.host("db01").heartbeats[0].at == last
    assert len(asked) == 3


def beating():
    return any(thread.name.startswith("heartbeat") for thread in threading.enumerate())


def test_three_missed_renewals_and_nothing_is_sent_any_more(datastore, clock, engine, ref):
    """The datastore takes every write but those of the heartbeat's thread."""
    state = HealState(
        datastore, clock=clock, steady=clock, sleep=clock.sleep, executions=engine, heartbeat_seconds=0.01
    )
    failures = []

    def fail_in_thread(operation):
        if threading.current_thread().name.startswith("heartbeat"):
            failures.append(operation)
            raise ConnectionError

    with state.deed(ref, "oob", clock() + 60) as deed:
        datastore.before = fail_in_thread
        assert awaited(lambda: len(failures) >= 3), "the thread does not die of a failure"
        deed.may_send()
        clock.sleep(0.031)
        assert "heartbeat could not be renewed" in refused(deed)
        datastore.before = lambda operation: None
        assert awaited(lambda: not state_missed(deed))
        deed.may_send()


def state_missed(deed):
    return deed._pulse.missed


def test_a_heartbeat_that_cannot_begin_begins_no_deed(state, ref, datastore, clock):
    datastore.down = True
    with pytest.raises(StateError), state.deed(ref, "oob", clock() + 60):
        pytest.fail("must not be entered")
