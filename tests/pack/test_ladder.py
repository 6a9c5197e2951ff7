"""The workflow's transitions are those of the ladder's table: no verdict of any plan leads nowhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from bmc_healer import ladder

WORKFLOW = yaml.safe_load((Path(__file__).parents[2] / "workflows" / "heal.yaml").read_text())
NEXT = re.compile(r"result\(\)\.result\.next = '(\w+)'")


def verdicts(step: str) -> list[str]:
    """Those that the table knows of a rung or a gate."""
    return [verdict for of, verdict in ladder.MOVES if of == step]


def plans() -> Iterator[tuple[str, ...]]:
    """Every order of rungs that `make_plan` can give."""
    for reap in ((), ("reap",)):
        for inband in ((), ("inband",)):
            for relief in ((), ("throttle",), ("unload", "throttle")):
                for tail in ((), ("oob", "load")):
                    yield (*reap, *inband, *relief, *tail)
    for inband in ((), ("inband",)):
        for tail in ((), ("oob", "load")):
            yield ("load", *inband, *tail)


def moves() -> dict[str, set[str]]:
    """Task -> tasks that may follow, walked from the table."""
    found: dict[str, set[str]] = {"diagnose": {"finish_heal"}}
    for plan in filter(None, plans()):
        found["diagnose"].add(ladder.first(plan).task)
        for index, rung in enumerate(plan):
            for verdict in verdicts(rung):
                task = ladder.after(rung, verdict, plan, index).task
                found.setdefault(ladder.RUNG_TASKS[rung], set()).add(task)
            gates = {ladder.GATE_TASKS.get(rung), "gate_health" if rung == "inband" else None}
            for gate in filter(None, gates):
                for verdict in verdicts(gate):
                    found.setdefault(gate, set()).add(ladder.after(gate, verdict, plan, index).task)
    return found


@pytest.mark.parametrize("task", sorted(set(moves()) - {"diagnose"}))
def test_every_move_of_the_table_is_a_transition(task: str) -> None:
    transitions = WORKFLOW["tasks"][task]["next"]
    written = {name for item in transitions for name in NEXT.findall(item["when"])}
    assert written == moves()[task]


def test_every_first_rung_follows_the_announcement() -> None:
    transitions = WORKFLOW["tasks"]["tell_start"]["next"]
    assert {item["do"] for item in transitions} == moves()["diagnose"] - {"finish_heal"}
    assert all(item["when"] == f"<% completed() and ctx(first) = '{item['do']}' %>" for item in transitions)


@pytest.mark.parametrize("task", sorted(moves()))
def test_a_task_that_fails_goes_to_the_end(task: str) -> None:
    ends = [item for item in WORKFLOW["tasks"][task]["next"] if item["when"].startswith("<% failed() or")]
    assert [item["do"] for item in ends] == ["finish_heal"]


def test_no_expression_looks_at_a_result_that_may_not_be_there() -> None:
    """An expression that raises ends a StackStorm workflow on the spot, without any clean-up."""
    for name, task in WORKFLOW["tasks"].items():
        for item in task.get("next", []):
            if "result()" in item["when"]:
                guarded = item["when"].startswith(("<% succeeded() and ", "<% failed() or (succeeded() and "))
                assert guarded, f"{name}: {item['when']}"


def test_every_transition_leads_to_a_task() -> None:
    known = set(WORKFLOW["tasks"]) | {"noop", "fail"}
    for name, task in WORKFLOW["tasks"].items():
        for item in task.get("next", []):
            for target in filter(None, re.split(r",\s*", item.get("do", ""))):
                assert target in known, f"{name} -> {target}"


def test_the_table_knows_every_verdict() -> None:
    with pytest.raises(KeyError):
        ladder.after("oob", "perhaps", ("oob",), 0)
