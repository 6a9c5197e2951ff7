"""Cancelled workflows, killed engines: no further task, the deed lives on, and everybody can see it."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from packrunner.execution import Execution
from packrunner.executor import Executor, Order, Prepared
from packrunner.runner import PackRunner

from .conftest import CONFIG, PACK, StartEngine, until


def children(runner: PackRunner, parent: str) -> dict[str, Execution]:
    return {child.task: child for child in runner.executions.list(parent=parent)}


def test_cancel_lets_the_deed_finish_and_runs_no_further_task(runner: PackRunner, tmp_path: Path) -> None:
    mark = tmp_path / "m"
    begun = runner.run_action("tpack.cancel", {"mark": str(mark)}, wait=False)
    until(lambda: Path(f"{mark}.begun").exists())
    asked = runner.executions.cancel(begun.id, "me")
    assert asked is not None
    assert asked.status == "canceling"
    child = children(runner, begun.id)["long"]
    assert child.status == "running"
    assert child.process is not None
    assert child.process.alive()
    ended = runner.wait(begun.id)
    assert ended.status == "canceled"
    assert Path(f"{mark}.done").exists()
    after = children(runner, begun.id)
    assert set(after) == {"long"}
    assert after["long"].status == "succeeded"
    assert ended.as_api()["context"]["cancelled_by"] == "me"
    assert ended.result["output"] == {"text": "hello"}


def test_cancelling_the_task_cancels_the_workflow(runner: PackRunner, tmp_path: Path) -> None:
    mark = tmp_path / "m"
    begun = runner.run_action("tpack.cancel", {"mark": str(mark)}, wait=False)
    until(lambda: Path(f"{mark}.begun").exists())
    runner.executions.cancel(children(runner, begun.id)["long"].id)
    ended = runner.wait(begun.id)
    assert ended.status == "canceled"
    long = children(runner, begun.id)["long"]
    assert long.status == "canceled"
    assert long.output == {"slept": 2.0}  # what it did is still known


def test_cancel_goes_down_and_up(runner: PackRunner, tmp_path: Path) -> None:
    mark = tmp_path / "m"
    begun = runner.run_action("tpack.outer", {"mark": str(mark)}, wait=False)
    until(lambda: Path(f"{mark}.begun").exists())
    sub = children(runner, begun.id)["sub"]
    runner.executions.cancel(sub.id)
    assert runner.wait(begun.id).status == "canceled"
    assert children(runner, begun.id)["sub"].status == "canceled"
    assert set(children(runner, begun.id)) == {"sub"}
    assert set(children(runner, sub.id)) == {"long"}


def test_a_delayed_task_is_cancelled_without_running(runner: PackRunner) -> None:
    begun = runner.run_action("tpack.retry", wait=False)
    until(lambda: children(runner, begun.id).get("again"))
    runner.executions.cancel(begun.id)
    assert runner.wait(begun.id).status == "canceled"
    again = children(runner, begun.id)["again"]
    assert again.status == "canceled"
    assert again.process is None


def test_cancelling_what_has_ended_changes_nothing(runner: PackRunner) -> None:
    ended = runner.run_action("core.noop")
    assert runner.executions.cancel(ended.id).status == "succeeded"  # type: ignore[union-attr]
    assert runner.executions.cancel("0" * 24) is None


def test_cancel_reaches_another_process(
    runner: PackRunner, start_engine: StartEngine, tmp_path: Path
) -> None:
    process, identity = start_engine("tpack.cancel", {"mark": str(tmp_path / "m")})
    until(lambda: (tmp_path / "m.begun").exists())
    runner.executions.cancel(identity)
    assert process.stdout.readline().strip() == "canceled"
    assert set(children(runner, identity)) == {"long"}


def test_a_killed_engine(start_engine: StartEngine, state_dir: Path, tmp_path: Path) -> None:
    """Its executions are abandoned, its action's process finishes the deed, no task follows."""
    process, identity = start_engine("tpack.cancel", {"mark": str(tmp_path / "m")})
    until(lambda: (tmp_path / "m.begun").exists())
    process.kill()
    process.wait()
    with PackRunner(PACK, CONFIG, state_dir) as runner:
        workflow = runner.executions.get(identity)
        assert workflow is not None
        assert workflow.status == "abandoned"
        long = children(runner, identity)["long"]
        assert long.status == "abandoned"
        assert long.result is None
        info = long.as_api()["liveaction"]["runner_info"]
        assert (info["pid"], info["alive"]) == (process.pid, False)
        assert info["action"]["alive"] is True
        until(lambda: (tmp_path / "m.done").exists())
        until(lambda: not long.runner_info()["action"]["alive"])
        assert set(children(runner, identity)) == {"long"}


def test_an_engine_that_was_there_before_notices_too(
    runner: PackRunner, start_engine: StartEngine, tmp_path: Path
) -> None:
    process, identity = start_engine("tpack.sleeper", {"mark": str(tmp_path / "m"), "seconds": 1})
    until(lambda: (tmp_path / "m.begun").exists())
    assert runner.executions.get(identity).status == "running"  # type: ignore[union-attr]
    process.kill()
    process.wait()
    assert runner.executions.get(identity).status == "abandoned"  # type: ignore[union-attr]


def test_the_history_survives_a_restart(state_dir: Path) -> None:
    with PackRunner(PACK, CONFIG, state_dir) as first:
        done = first.run_action("tpack.flow")
        first.datastore.set("kept", "1")
    with PackRunner(PACK, CONFIG, state_dir) as second:
        again = second.executions.get(done.id)
        assert again == done
        assert len(second.executions.list(parent=done.id)) == 4
        assert len(second.executions.list(parent="")) == 1
        assert second.datastore.get("kept") is not None


def test_drain(runner: PackRunner, tmp_path: Path) -> None:
    before = threading.active_count()  # other tests of this process may have left some
    begun = runner.run_action("tpack.sleeper", {"seconds": 1, "mark": str(tmp_path / "m")}, wait=False)
    assert [left.id for left in runner.drain(timeout=0)] == [begun.id]
    assert list(runner.drain()) == []
    assert (tmp_path / "m.done").exists()
    assert threading.active_count() - before < 20


def test_a_task_that_is_just_being_started_does_not_run(
    runner: PackRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cancellation comes after the conductor named the task and before its process is started."""
    real = Executor.prepare

    def cancelled_meanwhile(self: Executor, order: Order) -> Prepared:
        if order.task == "third":
            runner.executions.cancel(order.parent)
        return real(self, order)

    monkeypatch.setattr(Executor, "prepare", cancelled_meanwhile)
    ended = runner.run_action("tpack.flow")
    assert ended.status == "canceled"
    third = children(runner, ended.id)["third"]
    assert (third.status, third.process) == ("canceled", None)
