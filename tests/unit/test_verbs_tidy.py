"""tidy: a heal that nobody acts for any more is ended; its lock is freed when nothing can still happen."""

import pytest

from bmc_healer import telling
from bmc_healer.errors import UnknownHostError
from bmc_healer.executions import ExecutionInfo
from bmc_healer.outcome import Ending
from bmc_healer.state.keys import INCIDENTS, key
from bmc_healer.verbs.begin_heal import begin_heal
from bmc_healer.verbs.end_heal import close
from bmc_healer.verbs.tidy import tidy
from tests.unit.verbs import Engine as StandIn
from tests.unit.verbs import config, host, locks, runtime

OVERDUE_SECONDS = 121.0


@pytest.fixture
def removed():
    """A heal of db01 has died, and db01 was taken out of the configuration."""
    rt = runtime()
    rt.ref_of_db01 = rt.ref({"host": "db01", "incident": begin_heal(rt, {"host": "db01"})["incident"]})
    rt.clock.sleep(OVERDUE_SECONDS)
    after = runtime(config({"db02": {"transport": "local"}}), rt.datastore, rt.clock)
    after.before = rt
    return after


def test_a_host_that_is_not_configured_any_more_is_let_go(removed):
    ended = tidy(removed, {"host": "DB01"})
    assert ended["freed"], ended["sentence"]
    assert locks(removed) == ()
    assert removed.state.incident(removed.before.ref_of_db01.incident)["outcome"] == "refused"


def test_such_a_host_is_held_while_something_may_run_on_it_until_a_person_says_that_it_is_gone(removed):
    before, limit = removed.before, removed.clock() + 60
    with before.state.deed(before.ref_of_db01, "unload", limit) as deed:
        deed.may_send()
    removed.clock.sleep(OVERDUE_SECONDS)
    ended = tidy(removed, {"host": "db01"})
    assert not ended["freed"]
    assert "not configured any more" in ended["sentence"] and "host_is_gone" in ended["sentence"]
    assert tidy(removed, {"host": "db01", "host_is_gone": True})["freed"]
    assert locks(removed) == ()


def test_a_host_that_is_neither_configured_nor_held_is_unknown(removed):
    with pytest.raises(UnknownHostError):
        tidy(removed, {"host": "db03"})


class Chat:
    """What chat heard."""

    def __init__(self, monkeypatch):
        self.heard = []
        monkeypatch.setattr(telling, "tell", self._tell)

    def _tell(self, rt, title, body):
        self.heard.append((title, body.splitlines()[0]))
        return {"delivered": 1, "waiting": 0, "sentence": ""}


@pytest.fixture
def chat(monkeypatch):
    return Chat(monkeypatch)


class Engine(StandIn):
    """An engine that still calls executions running."""

    def __init__(self, clock, *runs):
        super().__init__(clock)
        self.runs = {run.id: run for run in runs}

    def get(self, execution):
        return self.runs.get(execution)

    def busy(self, action):
        return tuple(run for run in self.runs.values() if run.action == action)


@pytest.fixture
def dead():
    """A heal of db01, which only its BMC leads to, began and has died."""
    rt = runtime(config({"db01": host(1, transport="none")}))
    rt.ran = begin_heal(rt, {"host": "db01", "execution": "e1"})["incident"]
    rt.clock.sleep(OVERDUE_SECONDS)
    return rt


def due(rt, task, **changes):
    rt.state.save_incident({**rt.state.incident(rt.ran), "next": {"task": task, "index": 0}, **changes})


def run(status="running", action="bmc_healer.heal", execution="e1", since=0.0):
    return ExecutionInfo(execution, status, action, host="db01", since=since)


def sent(rt):
    """The heal's out-of-band reset was on its way when it died."""
    ref = rt.ref({"host": "db01", "incident": rt.ran})
    rt.executions = rt.state._executions = Engine(rt.clock, run())
    with rt.state.deed(ref, "oob", rt.clock() + 60) as deed:
        deed.may_send()
    rt.clock.sleep(OVERDUE_SECONDS)


def test_what_was_sent_before_the_end_is_not_told_as_done(dead, chat):
    sent(dead)
    due(dead, "reset_out_of_band")
    assert tidy(dead, {"host": "db01"})["freed"]
    said = (
        "db01: BMC needs a person",
        "The step reset_out_of_band ended without a result: what it was doing may ",
    )
    assert chat.heard[0][0] == said[0] and chat.heard[0][1].startswith(said[1])
    assert dead.executions.cancelled == ["e1"]


@pytest.mark.parametrize("status", ["canceling", "canceled"])
def test_a_heal_that_a_person_cancelled_is_told_as_such(dead, chat, status):
    sent(dead)
    due(dead, "gate_out_of_band_reset")
    dead.executions.runs["e1"] = run(status)
    tidy(dead, {"host": "db01"})
    assert chat.heard[0][1].startswith(
        "The heal was cancelled at the step gate_out_of_band_reset: what was sent may have happened, and is"
    )


def test_a_heal_that_was_cancelled_before_it_sent_anything_needs_nobody(dead, chat):
    due(dead, "diagnose")
    dead.executions = Engine(dead.clock, run("canceled"))
    tidy(dead, {"host": "db01"})
    sentence = "The heal was cancelled at the step diagnose; nothing was sent."
    assert chat.heard == [("db01: BMC not touched", sentence)]
    assert dead.state.host("db01").latch is None


def test_a_heal_that_died_behind_its_last_gate_is_concluded_from_what_the_gates_saw(dead, chat):
    proven = {"step": "gate_out_of_band_reset", "verdict": "passed", "sentence": "It reset.", "proof": True}
    well = {"step": "gate_health", "verdict": "passed", "sentence": "All is well."}
    steps = [{"seconds": 1.0, **proven}, {"seconds": 1.0, **well}]
    due(dead, "finish_heal", steps=steps, baseline={}, ending=None)
    tidy(dead, {"host": "db01"})
    assert chat.heard == [("db01: BMC healed", "Healed by an out-of-band cold reset. All is well.")]
    assert dead.state.incident(dead.ran)["outcome"] == "healed"


def test_an_end_that_was_written_and_not_told_is_told(dead, chat):
    ended = dead.state.incident(dead.ran)
    close(dead, ended, Ending("refused", "", "No need."))
    tidy(dead, {"host": "db01"})
    tidy(dead, {"host": "db01"})
    assert chat.heard == [("db01: BMC not touched", "No need.")]


def test_a_heal_that_died_before_its_incident_was_written_is_told(dead, chat):
    dead.datastore.delete_value(key(INCIDENTS, dead.ran), local=False)
    assert tidy(dead, {"host": "db01"})["freed"]
    sentence = f"The heal {dead.ran} died before it had looked at the host; nothing was sent."
    assert chat.heard == [("db01: BMC not touched", sentence)]


@pytest.fixture
def lost():
    """A runner was killed in begin_heal: StackStorm calls heal and task running, for ever."""
    rt = runtime(config({"db01": host(1, transport="none")}))
    rt.executions = Engine(rt.clock, run(since=rt.clock()))
    rt.clock.sleep(OVERDUE_SECONDS)
    return rt


def test_a_heal_that_died_before_it_had_a_lock_is_cancelled_and_told(lost, chat):
    ended = tidy(lost, {"host": "db01"})
    assert (ended["sentence"], ended["freed"]) == ("db01: Died without a lock, and ended now: 1.", True)
    assert lost.executions.cancelled == ["e1"]
    ((title, text),) = chat.heard
    assert title == "db01: BMC not touched"
    assert "died before it began (execution e1); nothing was sent." in text


def test_a_heal_that_died_between_its_end_and_its_last_message_is_told(lost, chat):
    begun = begin_heal(lost, {"host": "db01", "execution": "e1"})
    ref = lost.ref({"host": "db01", "incident": begun["incident"]})
    close(lost, lost.state.incident(ref.incident), Ending("not_needed", "", "Well."))
    lost.state.release(ref)
    tidy(lost, {"host": "db01"})
    assert chat.heard == [("db01: no heal needed", "Well.")]


def test_a_lost_heal_does_not_end_one_that_lives(lost, chat):
    begun = begin_heal(lost, {"host": "db01", "execution": "e2"})
    ended = tidy(lost, {"host": "db01"})
    assert (ended["freed"], lost.executions.cancelled) == (False, ["e1"])
    assert locks(lost)[0].incident == begun["incident"]


def test_a_lost_heal_of_a_host_that_nobody_knows_is_ended(lost, chat):
    lost.executions.runs["e1"] = ExecutionInfo("e1", "running", "bmc_healer.heal", host="db07", since=0.0)
    assert tidy(lost, {"host": "db07"})["freed"]
    assert lost.executions.cancelled == ["e1"] and len(chat.heard) == 1


def test_a_machine_with_another_clock_ends_nobody(lost, chat):
    lost.executions = Engine(lambda: lost.clock() + 60, run(since=0.0))
    tidy(lost, {"host": "db01"})
    assert lost.executions.cancelled == [] and chat.heard == []
