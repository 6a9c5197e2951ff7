"""The real workflow, conducted by packrunner with every transition taken; standin.py makes up the rest."""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest
import yaml

import packrunner.workflow
from packrunner.runner import PackRunner
from tests.pack.temporary import CONFIG, PACK, copy_of_the_pack

SHORT = {
    "R": "reap_clients",
    "I": "reset_in_band",
    "GI": "gate_in_band_reset",
    "U": "unload_driver",
    "GU": "gate_unload",
    "T": "throttle_kipmi",
    "GT": "gate_throttle",
    "O": "reset_out_of_band",
    "GO": "gate_out_of_band_reset",
    "L": "load_driver",
    "H": "gate_health",
}
ALL = "reap inband unload throttle oob load"
BROKE_OFF = "The heal did not reach its end."


@dataclass(frozen=True)
class Heal:
    """`path`: task=verdict in the order expected, in short; the tasks around them are always the same."""

    plan: str
    path: str
    outcome: str
    healed_by: str = ""
    dead: bool = False
    faults: dict = field(default_factory=dict)

    @property
    def steps(self):
        return [item.split("=") for item in self.path.split()]

    @property
    def script(self):
        verdicts = [verdict for _, verdict in self.steps]
        return {"plan": self.plan.split(), "verdicts": verdicts, "dead": self.dead, "faults": self.faults}

    @property
    def tasks(self):
        ladder = [SHORT[short] for short, _ in self.steps]
        return ["begin_heal", "diagnose", *ladder, "finish_heal", "tell_end"]


HEALS = {
    "every-rung": Heal(
        ALL,
        "R=done I=done GI=failed U=done GU=failed T=done GT=passed O=done GO=passed L=done H=passed",
        "healed",
        "oob",
    ),
    "relieved-then-oob": Heal(
        "reap unload throttle oob load",
        "R=skipped U=done GU=passed O=done GO=passed L=skipped H=passed",
        "healed",
        "oob",
    ),
    "inband-is-enough": Heal(ALL, "R=done I=done GI=passed H=passed", "healed", "inband"),
    "throttle-skipped": Heal("reap throttle oob load", "R=done T=skipped O=stop", "escalated"),
    "well-but-not-after-all": Heal("reap oob load", "R=done O=well L=stop", "escalated"),
    "stopped-at-once": Heal("reap inband", "R=stop", "refused"),
    "all-skipped": Heal("inband unload throttle oob load", "I=skipped U=skipped T=stop", "refused"),
    "bmc-stays-dark": Heal(
        "inband throttle oob load", "I=skipped T=done GT=failed O=done GO=failed", "relieved", dead=True
    ),
    "only-oob-is-left": Heal("inband oob load", "I=skipped O=skipped L=done H=passed", "not_needed"),
    "well-then-hung": Heal("inband unload throttle", "I=well H=failed U=stop", "refused"),
    "well-then-hung-throttle": Heal("inband throttle", "I=well H=failed T=done GT=passed", "escalated"),
    "reset-did-not-help": Heal("inband oob load", "I=done GI=passed H=failed O=stop", "escalated"),
    "reset-unseen-throttle": Heal(
        "inband throttle oob load", "I=failed GI=failed T=skipped O=stop", "escalated"
    ),
    "reset-unseen-oob": Heal("inband oob load", "I=stuck GI=failed O=stop", "escalated"),
    "reset-unseen-end": Heal("inband", "I=done GI=failed", "escalated"),
    "inband-stopped": Heal("inband", "I=stop", "refused"),
    "unloaded-and-no-way-in": Heal("unload throttle", "U=done GU=passed", "relieved", dead=True),
    "throttled-and-no-way-in": Heal("throttle", "T=done GT=failed", "escalated"),
    "out-of-band-alone": Heal("oob load", "O=done GO=passed L=done H=failed", "escalated"),
    "reset-in-doubt": Heal("oob load", "O=done GO=doubt L=done H=failed", "escalated"),
    "driver-gave-up": Heal("load inband", "L=done H=failed I=done GI=passed H=passed", "healed", "inband"),
    "recovered-by-itself": Heal("load", "L=skipped H=passed", "not_needed"),
    "keeps-its-driver": Heal("unload throttle oob load", "U=well O=well L=skipped H=passed", "not_needed"),
    "nothing-to-do": Heal("", "", "not_needed"),
    "chat-is-deaf": Heal("load", "L=done H=passed", "not_needed", faults={"tell_start": "refuse"}),
}
# Where the ladder breaks off: the failing task is the last of the path.
FAILING = {
    "reap": ("reap load", "R", "refuse"),
    "inband": ("inband", "I", "raise"),
    "gate-inband": ("inband", "I=done GI", "die"),
    "unload": ("unload throttle", "U", "raise"),
    "gate-unload": ("unload throttle", "U=done GU", "refuse"),
    "throttle": ("throttle", "T", "hang"),
    "gate-throttle": ("throttle", "T=done GT", "raise"),
    "oob": ("oob load", "O", "die"),
    "gate-oob": ("oob load", "O=done GO", "refuse"),
    "load": ("load", "L", "die"),
    "gate-health": ("load", "L=done H", "raise"),
}
ODD = {
    "begin-refused": {"begin": {"next": "tell_end", "outcome": "refused", "sentence": "db01 is paused."}},
    "begin-quiet": {"begin": {"next": "end", "outcome": "not_needed", "sentence": "Said before."}},
    "begin-fails": {"faults": {"begin_heal": "refuse"}},
    "begin-dies": {"faults": {"begin_heal": "die", "tell_end": "raise"}},
    "diagnose-fails": {
        "plan": ["load"],
        "verdicts": [],
        "faults": {"diagnose": "raise", "finish_heal": "refuse"},
    },
    "finish-dies": {"plan": [], "faults": {"finish_heal": "die"}},
    "told-too-late": {"plan": [], "faults": {"tell_end": "raise"}},
}
# What a task answers when it breaks its promise -> the tasks before it
RUBBISH = {
    ("text", "begin_heal"): [],
    ("no next", "diagnose"): ["begin_heal"],
    ("nothing", "load_driver"): ["begin_heal", "diagnose"],
    ("unknown next", "load_driver"): ["begin_heal", "diagnose"],
}


def failing_script(plan, path, fault):
    steps = [item.split("=") for item in path.split()]
    verdicts = [item[1] for item in steps[:-1]]
    return {"plan": plan.split(), "verdicts": verdicts, "faults": {SHORT[steps[-1][0]]: fault}}


SCRIPTS = {
    **{name: heal.script for name, heal in HEALS.items()},
    **{f"fail-{name}": failing_script(*row) for name, row in FAILING.items()},
    **ODD,
    **{
        f"{kind} of {task}": {"plan": ["load"], "verdicts": ["done"], "faults": {task: kind}}
        for kind, task in RUBBISH
    },
}


@dataclass(frozen=True)
class Ran:
    """A finished heal."""

    execution: object
    children: list

    @property
    def tasks(self):
        """The ladder in its order, without the task beside it."""
        return [child.task for child in self.children if child.task != "tell_start"]

    @property
    def output(self):
        return self.execution.output


class Heals:
    """Runs every script once, some at a time, and keeps orquesta's own record of the transitions taken."""

    def __init__(self, directory):
        pack = copy_of_the_pack(directory, SCRIPTS, timeouts={"throttle_kipmid": 6})
        self.runner = PackRunner(pack, CONFIG, directory / "state")
        self.conductors = []
        self._pool = ThreadPoolExecutor(4)
        self._futures = {name: self._pool.submit(self._run, name) for name in SCRIPTS}
        self._asked_for = {}

    def __getitem__(self, name):
        """Who is asked for before its turn is run at once: pytest's limit for a test is for its own heal."""
        if self._futures[name].cancel():
            self._asked_for[name] = self._run(name)
        return self._asked_for.get(name) or self._futures[name].result(timeout=120)

    def _run(self, name):
        execution = self.runner.run_action("bmc_healer.heal", {"host": name})
        return Ran(execution, self.runner.executions.list(parent=execution.id)[::-1])

    def transitions(self):
        for name in SCRIPTS:
            self[name]
        return {
            (entry["id"], *split(name))
            for conductor in self.conductors
            for entry in conductor.workflow_state.sequence
            for name, taken in entry["next"].items()
            if taken
        }

    def close(self):
        for future in self._futures.values():
            future.cancel()
        self._pool.shutdown()
        self.runner.close()


def split(transition):
    task, _, number = transition.rpartition("__t")
    return task, int(number)


@pytest.fixture(scope="module")
def heals(tmp_path_factory):
    conducting = packrunner.workflow.conducting
    with pytest.MonkeyPatch.context() as patch:
        made = []

        class Watched(conducting.WorkflowConductor):
            def __init__(self, *arguments, **named):
                super().__init__(*arguments, **named)
                made.append(self)

        patch.setattr(conducting, "WorkflowConductor", Watched)
        running = Heals(tmp_path_factory.mktemp("pack"))
        running.conductors = made
        yield running
        running.close()


@pytest.mark.parametrize("name", HEALS)
def test_plan_and_verdicts_give_the_sequence(heals, name):
    heal, ran = HEALS[name], heals[name]
    assert ran.tasks == heal.tasks
    assert ran.execution.status == "succeeded", ran.execution.result
    output = ran.output
    assert (output["outcome"], output["healed_by"]) == (heal.outcome, heal.healed_by)
    assert (output["host"], output["incident"]) == (name, f"{name}-20261121-104512")
    assert [step["step"] for step in output["steps"]] == heal.tasks[2:-2]
    assert output["summary"] and output["summary"] != BROKE_OFF


@pytest.mark.parametrize("name", HEALS)
def test_chat_hears_the_start_once_when_something_will_be_done(heals, name):
    starts = [child for child in heals[name].children if child.task == "tell_start"]
    assert len(starts) == (1 if HEALS[name].plan else 0)


@pytest.mark.parametrize("name", HEALS)
def test_every_task_is_told_host_and_incident_and_a_gate_which_one_it_is(heals, name):
    for child in heals[name].children:
        assert child.parameters["host"] == name
        if child.task != "begin_heal":
            assert child.parameters["incident"] == f"{name}-20261121-104512", child.task
        if child.action == "bmc_healer.verify":
            assert child.parameters["gate"] == child.task


def test_begin_heal_is_told_the_execution_that_a_cancel_would_name(heals):
    ran = heals["nothing-to-do"]
    begin = ran.children[0]
    assert begin.parameters["execution"] == ran.execution.id
    given = {"asked_host", "approves", "dry_run", "force", "host", "key", "reason", "rungs", "source"}
    assert set(begin.parameters) == given | {"execution"}
    assert begin.parameters["rungs"] == ["inband", "unload", "oob"]
    assert begin.parameters["force"] is begin.parameters["dry_run"] is False


@pytest.mark.parametrize("name", FAILING)
def test_a_task_that_fails_ends_the_heal_in_order(heals, name):
    ran = heals[f"fail-{name}"]
    path = [SHORT[item.split("=")[0]] for item in FAILING[name][1].split()]
    assert ran.tasks == ["begin_heal", "diagnose", *path, "finish_heal", "tell_end"]
    failed = next(child for child in ran.children if child.task == path[-1])
    assert failed.status == ("timeout" if FAILING[name][2] in ("hang", "die") else "failed")
    assert ran.execution.status == "succeeded", "its outcome says how it ended"
    assert ran.output["outcome"] == "escalated"
    assert path[-1] in ran.output["summary"]


def test_a_heal_that_may_not_begin_tells_chat_why(heals):
    ran = heals["begin-refused"]
    assert ran.tasks == ["begin_heal", "tell_end"] and ran.execution.status == "succeeded"
    assert (ran.output["outcome"], ran.output["summary"]) == ("refused", "db01 is paused.")
    told = ran.children[-1].parameters
    assert (told["occasion"], told["text"], told["outcome"]) == ("end", "db01 is paused.", "refused")


def test_what_chat_has_heard_before_is_not_told_again(heals):
    ran = heals["begin-quiet"]
    assert ran.tasks == ["begin_heal"] and ran.execution.status == "succeeded"
    assert (ran.output["outcome"], ran.output["summary"]) == ("not_needed", "Said before.")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("begin-fails", "The heal did not begin. The datastore cannot be read."),
        (
            "begin-dies",
            "The heal did not begin: its first task died, and nothing was done. Its log says why.",
        ),
    ],
)
def test_a_begin_heal_that_fails_fails_the_heal_and_chat_is_told(heals, name, said):
    ran = heals[name]
    assert ran.tasks == ["begin_heal", "tell_end"]
    assert ran.execution.status == "failed", "also when chat could not be told"
    assert (ran.output["outcome"], ran.output["summary"]) == ("refused", said)
    told = ran.children[-1].parameters
    assert (told["host"], told["text"]) == (name, ran.output["summary"])


@pytest.mark.parametrize("name", ["diagnose-fails", "finish-dies"])
def test_a_finish_heal_that_fails_fails_the_heal_and_chat_is_told(heals, name):
    ran = heals[name]
    assert ran.tasks == ["begin_heal", "diagnose", "finish_heal", "tell_end"]
    assert ran.execution.status == "failed"
    assert ran.output["outcome"] == "escalated" and "tidy" in ran.output["summary"]
    assert ran.children[-1].parameters["text"] == ran.output["summary"]


def test_chat_that_cannot_be_told_the_start_does_not_harm(heals):
    ran = heals["chat-is-deaf"]
    assert {child.task: child.status for child in ran.children}["tell_start"] == "failed"
    assert ran.execution.status == "succeeded"


def test_chat_that_cannot_be_told_the_end_does_not_fail_the_heal(heals):
    ran = heals["told-too-late"]
    assert ran.children[-1].status == "failed"
    assert (ran.execution.status, ran.output["outcome"]) == ("succeeded", "not_needed")


@pytest.mark.parametrize(("kind", "task"), RUBBISH)
def test_rubbish_starts_nothing_and_claims_nothing(heals, kind, task):
    """`bmc_healer.verbs.perform` never gives any; tidy would find such a heal by its heartbeat."""
    ran = heals[f"{kind} of {task}"]
    assert ran.tasks == [*RUBBISH[kind, task], task]
    assert ran.output["outcome"] is None and ran.output["healed_by"] == ""
    assert set(ran.output) == {"summary", "outcome", "to_do", "healed_by", "host", "incident", "steps"}


def test_every_transition_of_the_workflow_was_taken(heals):
    tasks = yaml.safe_load((PACK / "workflows" / "heal.yaml").read_text())["tasks"]
    written = set()
    for name, task in tasks.items():
        pairs = [
            (name, target)
            for item in task.get("next", [])
            for target in re.split(r",\s*", item.get("do", "continue"))
        ]
        # Orquesta counts the transitions between each two tasks.
        written |= {(*pair, pairs[:place].count(pair)) for place, pair in enumerate(pairs)}
    assert heals.transitions() == written


def test_after_a_cancel_no_task_starts_and_the_running_one_ends(tmp_path):
    gate = tmp_path / "go"
    script = {"plan": ["load"], "verdicts": ["done", "passed"], "wait": {"load_driver": str(gate)}}
    pack = copy_of_the_pack(tmp_path, {"db01": script})
    with PackRunner(pack, CONFIG, tmp_path / "state") as runner:
        begun = runner.run_action("bmc_healer.heal", {"host": "db01"}, wait=False)
        until(lambda: (tmp_path / "go.reached").exists())
        runner.executions.cancel(begun.id, "me")
        until(lambda: runner.executions.get(begun.id).status == "canceling")
        gate.touch()
        ended = runner.wait(begun.id, 30)
        children = runner.executions.list(parent=begun.id)
    assert ended.status == "canceled"
    assert {child.task for child in children} == {"begin_heal", "diagnose", "tell_start", "load_driver"}
    load = next(child for child in children if child.task == "load_driver")
    assert (load.status, load.output["verdict"]) == ("succeeded", "done"), "its process ran to its own end"
    assert ended.output["outcome"] is None and ended.output["incident"] == "db01-20261121-104512"


def until(condition, seconds=30.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.05)
