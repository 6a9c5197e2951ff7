"""A step out of its turn: refused with a sentence, and nothing on host, BMC or in the state is touched."""

from __future__ import annotations

import re

import pytest

from bmc_healer import ladder
from bmc_healer.errors import HealerError, HostAccessError, StateError
from bmc_healer.executions import ExecutionInfo
from bmc_healer.rungs.outcome import DeedRefusedError, RungOutcome
from bmc_healer.state.documents import PastHeal
from bmc_healer.state.store import Store
from bmc_healer.verbs import diagnose, end_heal, host_rungs, reset_bmc_oob, verify
from bmc_healer.verbs.begin_heal import begin_heal
from bmc_healer.verbs.step import Step
from tests.unit.clock import NOW, Clock
from tests.unit.state.fake_datastore import FakeDatastore
from tests.unit.verbs import Engine, VerbRuntime, config, first_looks_ended, host, locks, runtime

PLAN = ["reap", "inband", "unload", "throttle", "oob", "load"]
RUNGS = {
    "reap_clients": host_rungs.reap_ipmitool,
    "reset_in_band": host_rungs.reset_bmc_inband,
    "unload_driver": host_rungs.unload_ipmi,
    "throttle_kipmi": host_rungs.throttle_kipmid,
    "reset_out_of_band": reset_bmc_oob.reset_bmc_oob,
    "load_driver": host_rungs.load_ipmi,
}
GATES = dict.fromkeys(sorted(set(ladder.GATE_TASKS.values())), verify.verify)
STEPS = {**RUNGS, **GATES}
EVERYTHING = {**STEPS, "diagnose": diagnose.diagnose}


class Untouched(VerbRuntime):
    """No way onto the host and none to its BMC: whoever takes one fails the test."""

    def access(self, host):
        pytest.fail(f"the way onto {host.name} was taken")

    def login(self, host):
        pytest.fail(f"the login of {host.name}'s BMC was read")

    def look_at_bmc(self, host, pinned, *, session=True):
        pytest.fail(f"{host.name}'s BMC was looked at")


@pytest.fixture
def rt():
    """A heal of db01 has begun and its first rung is due."""
    clock = Clock()
    settings = config({"db01": host(1), "db02": {"transport": "local"}, "db03": {"transport": "local"}})
    datastore = FakeDatastore()
    made = Untouched(settings, datastore, environ={}, clock=clock, sleep=clock.sleep)
    begun = begin_heal(runtime(settings, datastore, clock), {"host": "db01", "execution": "e1"})
    first_looks_ended()
    assert begun["next"] == "diagnose"
    made.ran = begun["incident"]
    due(made, "reap_clients")
    return made


def due(rt, task, index=0, **changes):
    incident = rt.state.incident(rt.ran)
    rt.state.save_incident({**incident, "plan": PLAN, "next": {"task": task, "index": index}, **changes})


def call(rt, task, **parameters):
    given = {"host": "db01", "incident": rt.ran, **({"gate": task} if task in GATES else {}), **parameters}
    return EVERYTHING[task](rt, given)


def state(rt):
    """Everything in the datastore but the marks of its readers."""
    return {key: value for key, value in rt.datastore.rows.items() if "~" not in key}


def is_refused(rt, task, *words, **parameters):
    before = state(rt)
    with pytest.raises(StateError) as refusal:
        call(rt, task, **parameters)
    assert state(rt) == before
    sentence = refusal.value.sentence
    assert sentence.endswith(".") and sentence.isprintable() and "None" not in sentence
    for word in words:
        assert word in sentence
    return True


@pytest.mark.parametrize("other", ["diagnose", "finish_heal", *STEPS])
@pytest.mark.parametrize("task", STEPS)
def test_a_step_out_of_its_turn_does_nothing(rt, task, other):
    if task == other:
        return
    due(rt, other)
    assert is_refused(rt, task, f"it is the turn of {other}", "bmc heal HOST")


@pytest.mark.parametrize("task", STEPS)
def test_a_step_that_comes_twice_does_nothing_the_second_time(rt, task):
    rung = next((rung for rung, name in ladder.RUNG_TASKS.items() if name == task), None)
    index = PLAN.index(rung or next(r for r, name in ladder.GATE_TASKS.items() if name == task))
    due(rt, task, index)
    step = Step(rt, task, {"host": "db01", "incident": rt.ran})
    if rung:
        answer = step.rung(lambda: RungOutcome(rung, "done", "Done."))
    else:
        answer = step.done("passed", "Passed.", {})
    assert answer["next"] == ladder.after(rung or task, "done" if rung else "passed", PLAN, index).task
    assert is_refused(rt, task, f"it is the turn of {answer['next']}")
    assert [record["step"] for record in rt.state.incident(rt.ran)["steps"]] == [task]


def test_a_diagnosis_that_comes_twice_does_nothing(rt):
    assert is_refused(rt, "diagnose", "is not to be diagnosed now")


@pytest.mark.parametrize("task", EVERYTHING)
def test_a_step_for_another_host_does_nothing(rt, task):
    due(rt, task)
    assert is_refused(rt, task, "db02", host="db02")
    with pytest.raises(HealerError, match="nobody"):
        call(rt, task, host="nobody")


@pytest.mark.parametrize("task", EVERYTHING)
@pytest.mark.parametrize(
    "incident", ["db01-20200101-000000", "", "x", "db01; reboot", "db01-20261118-110640:"]
)
def test_a_step_of_a_heal_that_is_not_there_does_nothing(rt, task, incident):
    due(rt, task)
    if not incident and task == "diagnose":
        return  # a look that a person asks for by hand
    assert is_refused(rt, task, "db01", incident=incident)


@pytest.mark.parametrize("task", STEPS)
def test_a_step_of_a_heal_that_gave_its_lock_back_does_nothing(rt, task):
    due(rt, task)
    rt.state.release(rt.ref({"host": "db01", "incident": rt.ran}))
    assert is_refused(rt, task, "does not hold the lock")


@pytest.mark.parametrize("task", STEPS)
def test_a_step_of_the_heal_before_this_one_does_nothing(rt, task):
    stale, rt.ran = rt.ran, None
    rt.state.release(rt.ref({"host": "db01", "incident": stale}))
    rt.clock.sleep(5)
    again = runtime(rt.config, rt.datastore, rt.clock)
    rt.ran = begin_heal(again, {"host": "db01", "execution": "e2"})["incident"]
    first_looks_ended()
    due(rt, task)
    assert rt.ran != stale
    assert is_refused(rt, task, stale, "does not hold the lock", incident=stale)


@pytest.mark.parametrize("task", STEPS)
def test_a_step_of_a_heal_that_has_ended_does_nothing(rt, task):
    due(rt, "", outcome="escalated")
    assert is_refused(rt, task, "it has ended")


@pytest.mark.parametrize("task", STEPS)
def test_a_step_whose_datastore_is_down_does_nothing(rt, task):
    due(rt, task)
    rt.datastore.down = True
    with pytest.raises(StateError):
        call(rt, task)


def test_a_gate_that_there_is_not(rt):
    with pytest.raises(HealerError, match="there is no gate 'gate_power'"):
        verify.verify(rt, {"host": "db01", "incident": rt.ran, "gate": "gate_power"})


def test_a_step_that_tidy_overtook_may_not_send(rt):
    """The fence was raised, and the process died before it wrote anything else."""
    rt.state.raise_fence("db01")
    step = Step(rt, "reap_clients", {"host": "db01", "incident": rt.ran})

    def act():
        with rt.state.deed(step.ref, "reap", NOW + 60) as deed:
            deed.may_send()
            pytest.fail("it was sent")

    with pytest.raises(DeedRefusedError):
        act()
    answer = step.rung(act)
    assert (answer["verdict"], answer["next"]) == ("stop", "finish_heal")
    assert "The rung reap sent nothing: " in answer["sentence"]


def lost(rt):
    """The datastore is away from now on."""
    rt.datastore.down = True


def unwritten(error):
    """What a step says whose datastore is away."""
    return re.sub("bmc_healer:[^ ]*", "KEY", error.value.sentence)


REFUSED = (
    "This could not be recorded: the datastore would not write KEY ConnectionError: refused. "
    "Nothing is done without reliable state; check StackStorm's API and database."
)


def test_what_a_step_has_done_is_said_when_it_cannot_be_recorded(rt):
    def act():
        lost(rt)
        return RungOutcome("reap", "done", "2 hung clients were ended.")

    with (
        pytest.raises(StateError) as error,
        Step(rt, "reap_clients", {"host": "db01", "incident": rt.ran}) as it,
    ):
        it.rung(act)
    assert unwritten(error) == f"2 hung clients were ended. {REFUSED}"


def test_a_rung_whose_host_is_lost_does_not_name_it_again(rt):
    def act():
        raise HostAccessError("no way onto this host is configured", "db01")

    with Step(rt, "reap_clients", {"host": "db01", "incident": rt.ran}) as it:
        answer = it.rung(act)
    assert (answer["verdict"], answer["sentence"]) == ("failed", "No way onto this host is configured.")


def test_a_step_that_has_done_nothing_yet_says_why_alone(rt):
    with pytest.raises(StateError) as error, Step(rt, "reap_clients", {"host": "db01", "incident": rt.ran}):
        rt.state.remember("db01", firmware="1")
        lost(rt)
        rt.state.remember("db01", firmware="2")
    assert unwritten(error) == REFUSED.removeprefix("This could not be recorded: ")


# The end, which may come early, twice, or for somebody else


def end(rt, **parameters):
    return end_heal.end_heal(rt, {"host": "db01", "incident": rt.ran, **parameters})


def sent_something(rt):
    """What the first deed that is let pass leaves behind."""
    heal = PastHeal(rt.ran, "db01", (), NOW)
    Store(rt.datastore, rt.clock).write(f"bmc_healer:h:db01:heal:{rt.ran}:", vars(heal))


def test_a_step_that_died_before_any_deed_ends_refused_and_latches_nothing(rt):
    due(rt, "reset_in_band", 1)
    answer = end(rt)
    assert answer["outcome"] == "refused" and "nothing was sent" in answer["sentence"]
    assert rt.state.host("db01").latch is None
    assert [lock.incident for lock in locks(rt)] == [rt.ran], "tidy frees it"
    assert rt.state.host("db01").fence.incident == "", "nothing more is sent"


def test_an_end_that_comes_before_its_turn_escalates_and_keeps_the_lock(rt):
    """Only a step that died leads there: what it did may still be at work, and tidy frees the lock."""
    due(rt, "reset_in_band", 1)
    sent_something(rt)
    answer = end(rt)
    assert (answer["outcome"], answer["next"]) == ("escalated", "tell_end")
    assert "reset_in_band ended without a result" in answer["sentence"]
    assert [lock.incident for lock in locks(rt)] == [rt.ran]
    assert rt.state.host("db01").fence.incident == "", "nothing more is sent"
    assert rt.state.host("db01").latch.incident == rt.ran
    assert is_refused(rt, "reset_in_band", "it has ended")


class Remembering(Engine):
    """The engine keeps the results of a heal's tasks."""

    def __init__(self, clock, *tasks):
        super().__init__(clock)
        self.tasks = tasks

    def children(self, execution):
        assert execution == "e1"
        return self.tasks


def task(name, status, sentence, since):
    return ExecutionInfo(name, status, since=since, task=name, sentence=sentence)


def test_an_end_repeats_what_the_step_said_that_could_not_write(rt):
    due(rt, "reset_in_band", 1)
    sent_something(rt)
    rt.executions = Remembering(
        rt.clock,
        task("reset_in_band", "failed", "It was sent. This could not be recorded: no token.", NOW + 2),
        task("reset_in_band", "failed", "An earlier turn.", NOW + 1),
        task("reset_in_band", "running", "", NOW + 3),
        task("tell_start", "succeeded", "Chat was told.", NOW + 4),
    )
    answer = end(rt)
    said = (
        "The step reset_in_band broke off: It was sent. This could not be recorded: no token. Nothing more is"
    )
    assert answer["outcome"] == "escalated" and answer["sentence"].startswith(said)
    assert rt.state.incident(rt.ran)["sentence"] == answer["sentence"]


def test_an_end_repeats_it_too_when_nothing_was_sent(rt):
    due(rt, "reset_in_band", 1)
    rt.executions = Remembering(rt.clock, task("reset_in_band", "failed", "No token.", NOW))
    answer = end(rt)
    said = "The step reset_in_band broke off: No token. Nothing was sent."
    assert (answer["outcome"], answer["sentence"]) == ("refused", said)


def test_an_end_comes_also_when_the_engine_cannot_be_asked(rt):
    class Mute(Engine):
        def children(self, execution):
            raise StateError("the engine cannot be asked")

    due(rt, "reset_in_band", 1)
    sent_something(rt)
    rt.executions = Mute(rt.clock)
    assert "reset_in_band ended without a result" in end(rt)["sentence"]


def test_an_end_that_comes_twice_says_the_same(rt):
    due(rt, "reset_in_band", 1)
    first = end(rt)
    before = state(rt)
    assert end(rt) == first and state(rt) == before


@pytest.mark.parametrize(
    "parameters", [{"host": "db02"}, {"incident": "db01-20200101-000000"}, {"incident": ""}]
)
def test_an_end_of_somebody_else_does_nothing(rt, parameters):
    before = state(rt)
    with pytest.raises(StateError, match="there is no heal"):
        end(rt, **parameters)
    assert state(rt) == before


@pytest.mark.parametrize("outcome", ["proposed", "refused", "not_needed"])
def test_the_end_of_a_plan_touches_nothing(rt, outcome):
    ending = {"outcome": outcome, "sentence": "So it is.", "retry_at": None}
    due(rt, "finish_heal", plan_only=True, ending=ending)
    answer = end(rt)
    assert (answer["outcome"], answer["sentence"]) == (outcome, "So it is.")
    assert rt.state.host("db01").latch is None
    assert rt.state.incident(rt.ran)["ended_at"] == rt.clock()
