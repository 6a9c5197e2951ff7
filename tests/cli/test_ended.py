"""What a command leaves behind when it has ended: executions that have ended too, whoever read its output."""

import contextlib
import sqlite3

import pytest


def executions(folder):
    """Action, task and status of everything that was begun."""
    with contextlib.closing(sqlite3.connect(folder / "state" / "packrunner.db")) as connection:
        return connection.execute("SELECT action, task, status FROM executions").fetchall()


@pytest.mark.parametrize("command", [["heal", "db01"], ["chat", "bmc reset host db01"]], ids=" ".join)
def test_a_reader_that_has_enough_leaves_the_heal_to_its_end(process, tmp_path, command):
    child = process(*command)
    child.stdout.readline()
    child.stdout.close()
    assert child.wait(60) == 0
    assert child.stderr.read() == ""
    begun = executions(tmp_path)
    assert "finish_heal" in [task for _, task, _ in begun]
    assert {status for _, _, status in begun} == {"succeeded"}


@pytest.mark.parametrize(
    "command",
    [
        ["heal", "broken"],
        ["heal", "dead"],
        ["status"],
        ["chat", "bmc reset host db01"],
        ["trigger", "kipmi.high_cpu", '{"host": "db01"}'],
    ],
    ids=" ".join,
)
def test_a_command_that_ends_leaves_nothing_running(process, tmp_path, command):
    process(*command).communicate(timeout=60)
    statuses = {status for _, _, status in executions(tmp_path)}
    assert statuses and statuses <= {"succeeded", "failed"}
