"""Workflows: what runs, what is skipped, what comes out; each as StackStorm was seen to do it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from packrunner.events import Event
from packrunner.execution import Execution
from packrunner.runner import PackRunner

from .conftest import until


def tasks(runner: PackRunner, execution: Execution) -> dict[str, str]:
    children = runner.executions.list(parent=execution.id)
    return {child.task: child.status for child in reversed(children)}


def test_every_kind_of_step(runner: PackRunner, seen: list[Event]) -> None:
    execution = runner.run_action("tpack.flow", {"text": "hello"}, user="me")
    assert execution.status == "succeeded"
    assert execution.result == {
        "output": {"said": "hello-1", "ok": False, "me": execution.id, "user": "me"},
    }
    assert tasks(runner, execution) == {
        "first": "succeeded",
        "second": "succeeded",
        "third": "failed",
        "last": "succeeded",
    }
    child = runner.executions.list(parent=execution.id)[-1]
    assert child.context["user"] == "me"
    assert child.context["parent"]["execution_id"] == execution.id
    assert child.context["orquesta"]["task_name"] == "first"
    told = [(event.task, event.status) for event in seen if event.root == execution.id]
    assert told[:4] == [("", "running"), ("first", "running"), ("first", "succeeded"), ("second", "running")]
    assert told[-1] == ("", "succeeded")


def test_with_items(runner: PackRunner) -> None:
    execution = runner.run_action("tpack.items")
    assert execution.output == {"got": ["1", "2", "3"]}
    items = [child.context["orquesta"]["item_id"] for child in runner.executions.list(parent=execution.id)]
    assert sorted(items) == [0, 1, 2]


def test_an_item_fails_while_another_runs(runner: PackRunner, tmp_path: Path) -> None:
    """The task waits for the other item; then what follows a failure runs, and `fail` fails the workflow."""
    execution = runner.run_action("tpack.items_fail", {"mark": str(tmp_path / "m")})
    assert execution.status == "failed"
    assert (tmp_path / "m.done").exists()
    children = runner.executions.list(parent=execution.id)
    assert sorted((child.task, child.status) for child in children) == [
        ("cleanup", "succeeded"),
        ("each", "failed"),
        ("each", "succeeded"),
    ]
    assert execution.output == {"statuses": [True, True]}
    assert all("KeyError" not in entry["message"] for entry in execution.result["errors"])


def test_retry_and_delay(runner: PackRunner) -> None:
    execution = runner.run_action("tpack.retry")
    assert execution.status == "failed"
    assert execution.output == {"x": 1}
    again = runner.executions.list(parent=execution.id)
    assert len(again) == 2
    for child in again:
        assert [entry["status"] for entry in child.log] == ["requested", "delayed", "running", "failed"]
    assert execution.seconds is not None
    assert execution.seconds > 2


def test_an_expression_that_raises_skips_the_rest_but_renders_the_output(runner: PackRunner) -> None:
    execution = runner.run_action("tpack.raises")
    assert execution.status == "failed"
    assert tasks(runner, execution) == {"first": "failed"}
    assert execution.output == {"text": "hello"}
    assert any("Unable to evaluate expression" in entry["message"] for entry in execution.result["errors"])


def test_an_input_that_fails_its_schema_skips_the_rest(runner: PackRunner) -> None:
    execution = runner.run_action("tpack.badinput", {"text": "zz"})
    assert execution.status == "failed"
    assert tasks(runner, execution) == {"first": "succeeded"}
    first = execution.result["errors"][0]
    assert "choice: 'zz' is not one of" in first["message"]
    assert (first["task_id"], first["route"]) == ("second", 0)


def test_a_definition_with_faults_runs_nothing(runner: PackRunner) -> None:
    execution = runner.run_action("tpack.broken")
    assert execution.status == "failed"
    assert execution.children == ()
    places = {entry["spec_path"]: entry["message"] for entry in execution.result["errors"]}
    assert 'Unable to find action "tpack.nothing".' in places["tasks.one.action"]
    assert places["tasks.two.input.wat"] == 'Action "tpack.give" has unexpected input "wat".'
    assert places["tasks.two.input"] == 'Action "tpack.give" is missing required input "what".'


def test_a_failure_beside_a_running_task(runner: PackRunner, tmp_path: Path) -> None:
    """The branch that runs goes on to its end, and nothing follows it."""
    execution = runner.run_action("tpack.parallel", {"mark": str(tmp_path / "m")})
    assert execution.status == "failed"
    assert tasks(runner, execution) == {"quick": "failed", "slow": "succeeded"}
    assert (tmp_path / "m.done").exists()
    assert execution.output == {"text": "hello"}


def test_clean_up_after_the_failure(runner: PackRunner, tmp_path: Path) -> None:
    """``do: [cleanup, fail]``: failed at once; a wait includes the clean-up, and nothing follows that."""
    begun = runner.run_action("tpack.clean", {"mark": str(tmp_path / "m")}, wait=False)
    until(lambda: (tmp_path / "m.begun").exists())
    assert runner.executions.get(begun.id).status == "failed"  # type: ignore[union-attr]
    assert begun.id in {left.id for left in runner.drain(0)}
    ended = runner.wait(begun.id)
    assert (tmp_path / "m.done").exists()
    assert tasks(runner, ended) == {"first": "failed", "cleanup": "succeeded", "fails_too": "failed"}
    assert [entry["task_id"] for entry in ended.result["errors"]] == ["first", "fail", "fails_too"]
    assert list(runner.drain(0)) == []


def test_chat_waits_for_the_clean_up_too(runner: PackRunner, tmp_path: Path) -> None:
    reply = runner.chat(f"clean {tmp_path / 'm'}", "me")
    assert reply.execution.status == "failed"
    assert (tmp_path / "m.done").exists()


def test_a_sub_workflow(runner: PackRunner, tmp_path: Path, seen: list[Event]) -> None:
    execution = runner.run_action("tpack.outer", {"text": "deep", "mark": str(tmp_path / "m")}, user="me")
    assert execution.status == "succeeded"
    assert execution.output == {"inner": "deep"}
    sub = runner.executions.list(parent=execution.id, action="tpack.cancel")[0]
    assert tasks(runner, sub) == {"long": "succeeded", "cleanup": "succeeded"}
    assert {event.root for event in seen} == {execution.id}


@pytest.mark.parametrize("text", ["{{ 7 * 7 }}", "<% 7 * 7 %>"])
def test_inputs_of_people_are_data(runner: PackRunner, text: str) -> None:
    execution: Any = runner.run_action("tpack.echo", {"text": text})
    assert execution.output["parameters"]["text"] == text
