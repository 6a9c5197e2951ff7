"""Stands in for every action of the pack: what a heal's tasks answer is read from script.json beside it.

A mock, because no host and no BMC fails at a chosen place in a chosen way. The order of tasks is not made
up: it is that of the real `bmc_healer.ladder`, and the outcome that of the real `bmc_healer.outcome`.

script.json: host -> {"plan": [rungs], "verdicts": [one per rung or gate, in order], "faults": {task: fault},
"begin": {of begin_heal's answer}, "dead": what the last look sees, "wait": {task: a file that it waits for}}
"""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

from st2common.runners.base_action import Action

from bmc_healer import ladder
from bmc_healer.outcome import LastLook, conclude

HERE = Path(__file__).parent
RUNG_OF_ACTION = {
    "reap_ipmitool": "reap",
    "reset_bmc_inband": "inband",
    "unload_ipmi": "unload",
    "throttle_kipmid": "throttle",
    "reset_bmc_oob": "oob",
    "load_ipmi": "load",
}
PROOFS = ("gate_in_band_reset", "gate_out_of_band_reset")
RUBBISH = {
    "text": "what happened",
    "nothing": None,
    "no next": {"sentence": "Done."},
    "unknown next": {"sentence": "Done.", "next": "dance"},
}


class Heal:
    """One host's heal, kept in a file from task to task."""

    def __init__(self, host):
        # A begin_heal that died has named no host; the end is told all the same.
        self.script = json.loads((HERE / "script.json").read_text()).get(host, {})
        self.file = HERE / f"heal-{host}.json"
        self.state = json.loads(self.file.read_text()) if self.file.exists() else {}

    def goes_on(self, **changes):
        self.state.update(changes)
        self.file.write_text(json.dumps(self.state))


class StandIn(Action):
    def run(self, **parameters):
        action = Path(__file__).stem
        heal = Heal(parameters["host"] or "unnamed")
        task = parameters.get("gate") or ladder.RUNG_TASKS.get(RUNG_OF_ACTION.get(action)) or action
        if action == "notify":
            task = f"tell_{parameters['occasion']}"
        elif action == "end_heal":
            task = ladder.FINISH
        wait_for = heal.script.get("wait", {}).get(task)
        if wait_for:
            Path(f"{wait_for}.reached").touch()
            while not Path(wait_for).exists():
                time.sleep(0.02)
        fault = heal.script.get("faults", {}).get(task)
        if fault:
            return self.fail(fault)
        if action == "begin_heal":
            return True, begin(heal, parameters)
        if action == "notify":
            return True, {"sentence": "Chat was told (1 of 1)."}
        if action == "end_heal":
            return True, end(heal)
        if action == "diagnose":
            return True, diagnose(heal)
        return True, step(heal, task, RUNG_OF_ACTION.get(action) or task)

    @staticmethod
    def fail(fault):
        if fault == "refuse":
            return False, {"sentence": "The datastore cannot be read.", "error": "StateError"}
        if fault == "raise":
            raise RuntimeError("out of order")
        if fault == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if fault == "hang":
            time.sleep(600)
        return True, RUBBISH[fault]


def begin(heal, parameters):
    assert parameters["execution"], "the workflow names its own execution"
    answer = {
        "sentence": f"The heal of {parameters['host']} begins.",
        "next": "diagnose",
        "host": parameters["host"],
        "incident": f"{parameters['host']}-20261121-104512",
        "outcome": None,
    }
    return {**answer, **heal.script.get("begin", {})}


def diagnose(heal):
    plan = heal.script["plan"]
    position = ladder.first(plan)
    heal.goes_on(task=position.task, index=position.index, steps=[])
    return {"sentence": "It hangs.", "next": position.task, "plan": plan}


def step(heal, task, name):
    state = heal.state
    assert state["task"] == task, f"{task} is not due, but {state['task']}"
    verdict = heal.script["verdicts"][len(state["steps"])]
    position = ladder.after(name, verdict, heal.script["plan"], state["index"])
    record = {"step": task, "verdict": verdict, "sentence": f"{task} {verdict}."}
    record["proof"] = task in PROOFS and verdict == "passed"
    heal.goes_on(task=position.task, index=position.index, steps=[*state["steps"], record])
    return {"sentence": record["sentence"], "verdict": verdict, "next": position.task}


def end(heal):
    steps = heal.state["steps"]
    if heal.state["task"] == ladder.FINISH and heal.script["plan"]:
        dead = heal.script.get("dead", False)
        ending = conclude(steps, LastLook(kipmi_idle=True, unharmed=True, inband_dead=dead, lan_dead=dead))
        outcome, healed_by, sentence = ending.outcome, ending.healed_by, ending.sentence
    elif heal.state["task"] == ladder.FINISH:
        outcome, healed_by, sentence = "not_needed", "", "Nothing to do."
    else:
        outcome, healed_by, sentence = (
            "escalated",
            "",
            f"The step {heal.state['task']} ended without a result.",
        )
    return {
        "sentence": sentence,
        "outcome": outcome,
        "to_do": "",
        "healed_by": healed_by,
        "steps": steps,
        "next": "tell_end",
    }
