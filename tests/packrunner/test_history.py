"""What the history keeps, forgets, and does when the disk does not take it."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest

from packrunner.database import FILE_NAME, Database, prune
from packrunner.history import History
from packrunner.processes import Identity, boot_id, identify, own_identity
from packrunner.runner import PackRunner


def test_old_things_are_forgotten(runner: PackRunner, state_dir: Path) -> None:
    runner.inject_trigger("tpack.beat.seen", {"host": "web"})
    old = runner.run_action("core.noop")
    database = Database(state_dir / FILE_NAME)
    prune(database, time.time() - 60)
    assert runner.executions.get(old.id) is not None
    prune(database, time.time() + 1)
    assert runner.executions.get(old.id) is None
    assert database.rows("SELECT * FROM trigger_instances") == []


def test_a_workflow_does_not_wait_for_a_task_whose_end_cannot_be_recorded(
    runner: PackRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = History.finish

    def full_disk(self: History, identity: str, status: str, result: Any = None) -> Any:
        if self.require(identity).task == "second":
            raise sqlite3.OperationalError("database or disk is full")
        return real(self, identity, status, result)

    monkeypatch.setattr(History, "finish", full_disk)
    execution = runner.run_action("tpack.flow")
    assert execution.status == "succeeded"  # `second` has no condition on its outcome, so the flow goes on
    assert {child.task: child.status for child in runner.executions.list(parent=execution.id)}[
        "second"
    ] == "running"


def test_an_ended_execution_stays_as_it_is(runner: PackRunner, state_dir: Path) -> None:
    done = runner.run_action("core.noop")
    again = History(Database(state_dir / FILE_NAME)).finish(done.id, "failed", {"x": 1})
    assert again == done


@pytest.mark.parametrize(
    ("identity", "alive"),
    [
        (own_identity(), True),
        (Identity(own_identity().pid, own_identity().start_ticks + 1, boot_id()), False),
        (Identity(own_identity().pid, own_identity().start_ticks, "another boot"), False),
        (identify(2**22 + 1), False),
    ],
)
def test_identity(identity: Identity, alive: bool) -> None:
    assert identity.alive() is alive
    assert Identity.from_json(identity.to_json()) == identity
