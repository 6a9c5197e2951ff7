"""Concurrency by attribute, in one process and across two."""

from __future__ import annotations

import itertools
import os
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from packrunner.events import Event
from packrunner.execution import Execution
from packrunner.executor import Order
from packrunner.runner import PackRunner

from .conftest import CONFIG, PACK, StartEngine, until


def sleep(runner: PackRunner, **parameters: Any) -> Execution:
    return runner.run_action("tpack.sleeper", {"seconds": 1, **parameters}, wait=False)


def running(runner: PackRunner, execution: Execution) -> bool:
    return runner.executions.get(execution.id).status == "running"  # type: ignore[union-attr]


def start_of(execution: Execution) -> float:
    return next(entry["at"] for entry in execution.log if entry["status"] == "running")


def test_the_second_of_a_host_waits_in_order(runner: PackRunner, seen: list[Event]) -> None:
    begun = [sleep(runner, host="db1") for _ in range(3)]
    other = sleep(runner, host="db2")
    until(lambda: running(runner, other))
    ended = [runner.wait(execution.id) for execution in begun]
    assert {execution.status for execution in ended} == {"succeeded"}
    for before, after in itertools.pairwise(ended):
        assert before.ended is not None
        assert start_of(after) >= before.ended
    assert {event.execution for event in seen if event.kind == "execution.delayed"} == {
        e.id for e in begun[1:]
    }


def test_one_before_it_that_has_not_come_so_far_comes_first(runner: PackRunner) -> None:
    first = runner._executor.prepare(Order("tpack.sleeper", {"seconds": 1, "host": "db1"}))
    second = sleep(runner, host="db1")
    until(lambda: runner.executions.get(second.id).status == "delayed")  # type: ignore[union-attr]
    ended = runner._executor.run(first)
    assert ended.status == "succeeded"
    assert ended.ended is not None
    assert start_of(runner.wait(second.id)) >= ended.ended


def test_one_that_gets_no_thread_holds_up_nobody(runner: PackRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as full:
        full.setattr(threading.Thread, "start", none_left)
        with pytest.raises(RuntimeError):
            sleep(runner, host="db1")
    (first,) = runner.executions.list()
    assert first.status == "failed"
    assert first.result == {"error": "It was not started: can't start new thread."}
    assert runner.wait(sleep(runner, host="db1").id, 10).status == "succeeded"


def test_only_explicit_values_are_compared_and_by_case(runner: PackRunner) -> None:
    first = sleep(runner, host="db1")
    until(lambda: running(runner, first))
    same_but_upper = sleep(runner, host="DB1")
    until(lambda: running(runner, same_but_upper))
    # Without the attribute it is compared with all of them, as in StackStorm.
    without = sleep(runner)
    until(lambda: runner.executions.get(without.id).status == "delayed")  # type: ignore[union-attr]
    assert runner.wait(without.id).status == "succeeded"


def test_across_two_processes(runner: PackRunner, start_engine: StartEngine, tmp_path: Path) -> None:
    process, identity = start_engine(
        "tpack.sleeper", {"seconds": 1.5, "host": "db1", "mark": str(tmp_path / "m")}
    )
    until(lambda: (tmp_path / "m.begun").exists())
    mine = sleep(runner, host="db1")
    until(lambda: runner.executions.get(mine.id).status == "delayed")  # type: ignore[union-attr]
    assert process.stdout.readline().strip() == "succeeded"
    ended = runner.wait(mine.id)
    theirs = runner.executions.require(identity)
    assert theirs.ended is not None
    assert start_of(ended) >= theirs.ended


def test_a_dead_process_does_not_count(runner: PackRunner, start_engine: StartEngine, tmp_path: Path) -> None:
    process, _ = start_engine(
        "tpack.sleeper", {"seconds": 30, "host": "db1", "mark": str(tmp_path / "m"), "timeout": 40}
    )
    until(lambda: (tmp_path / "m.begun").exists())
    deed = runner.executions.list(action="tpack.sleeper")[0].process
    process.kill()
    process.wait()
    assert runner.wait(sleep(runner, host="db1").id, 10).status == "succeeded"
    assert deed is not None
    assert deed.alive()
    os.kill(deed.pid, 9)


def test_a_delayed_one_can_be_cancelled(runner: PackRunner) -> None:
    first = sleep(runner, host="db1")
    until(lambda: running(runner, first))
    second = sleep(runner, host="db1")
    until(lambda: runner.executions.get(second.id).status == "delayed")  # type: ignore[union-attr]
    runner.executions.cancel(second.id)
    ended = runner.wait(second.id)
    assert (ended.status, ended.process) == ("canceled", None)


def test_cancel_leaves_no_result(state_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with PackRunner(PACK, CONFIG, state_dir) as runner:
        policies = runner.pack.policies
        monkeypatch.setitem(
            policies,  # type: ignore[arg-type]
            "tpack.one_per_host",
            replace(policies["tpack.one_per_host"], action="cancel"),
        )
        first = sleep(runner, host="db1")
        until(lambda: running(runner, first))
        second = runner.wait(sleep(runner, host="db1").id)
        assert second.status == "canceled"
        assert "result" not in second.as_api()
        assert runner.wait(first.id).status == "succeeded"
