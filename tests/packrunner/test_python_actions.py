"""One python action in its own process: what it gets, what comes back, how it is ended."""

from __future__ import annotations

import os
import signal
import sqlite3
from pathlib import Path

import psutil
import pytest

from packrunner.errors import ParameterError, UnknownActionError
from packrunner.events import Event
from packrunner.runner import PackRunner

from .conftest import until


def test_what_an_action_gets(runner: PackRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_SECRET", "not for actions")
    passed = {"text": "hi", "password": "s3cret", "env": {"EXTRA": 1, "PYTHONPATH": "/nowhere"}}
    execution = runner.run_action("tpack.echo", passed, user="me")
    assert execution.status == "succeeded"
    assert execution.result["stdout"] == "on stdout\n"
    assert "INFO     logged" in execution.result["stderr"]
    got = execution.output
    assert got["parameters"]["password"] == "s3cret"
    assert got["parameters"]["derived"] == "hi-7"
    assert "timeout" not in got["parameters"]
    assert got["config"] == {"mode": "a", "limit": 3, "hosts": {}}
    assert got["lib"] == "from lib"
    assert "s3cret" not in " ".join(got["argv"])
    assert got["cwd_in_path"] is False
    environment = got["environment"]
    assert environment["ST2_ACTION_PACK_NAME"] == "tpack"
    assert environment["ST2_ACTION_EXECUTION_ID"] == execution.id
    assert environment["ST2_ACTION_API_URL"] == runner.api_url
    assert environment["ST2_ACTION_AUTH_TOKEN"] == runner.api_token
    assert environment["EXTRA"] == "1"
    assert "/nowhere" not in environment["PYTHONPATH"]
    assert "MY_SECRET" not in environment


def test_secrets_are_masked_in_the_history(runner: PackRunner, state_dir: Path) -> None:
    execution = runner.run_action("tpack.echo", {"text": "hi", "password": "s3cret"})
    assert execution.parameters["password"] == "********"
    rows = sqlite3.connect(state_dir / "packrunner.db").execute(
        "SELECT parameters, context, log FROM executions"
    )
    assert "s3cret" not in str(rows.fetchall())


@pytest.mark.parametrize(
    ("passed", "status", "result"),
    [
        ({"what": "pair"}, "succeeded", {"ok": True, "host": None}),
        ({"what": "pair", "ok": False}, "failed", {"ok": False, "host": None}),
        ({"what": "false"}, "succeeded", False),
        ({"what": "plain"}, "succeeded", "plain"),
        ({"what": "raise"}, "failed", "None"),
    ],
)
def test_result_shapes(runner: PackRunner, passed: dict[str, object], status: str, result: object) -> None:
    execution = runner.run_action("tpack.give", passed)
    assert (execution.status, execution.output) == (status, result)
    assert execution.result["exit_code"] == (1 if passed["what"] == "raise" else 0)
    if passed["what"] == "raise":
        assert "RuntimeError: on purpose" in execution.result["stderr"]


def test_a_pair_without_a_bool_fails(runner: PackRunner) -> None:
    execution = runner.run_action("tpack.give", {"what": "badpair"})
    assert execution.status == "failed"
    assert "must be True or False" in execution.result["error"]


def test_a_result_json_cannot_hold_becomes_text(runner: PackRunner) -> None:
    assert runner.run_action("tpack.give", {"what": "object"}).output.startswith("<object object")


def test_output_is_bounded(runner: PackRunner) -> None:
    execution = runner.run_action("tpack.give", {"what": "big"})
    assert len(execution.output) == 1_000_000
    assert len(execution.result["stdout"]) < 270_000
    assert "bytes left out" in execution.result["stdout"]


def test_what_is_refused_leaves_no_execution(runner: PackRunner) -> None:
    with pytest.raises(UnknownActionError, match=r"tpack\.gone"):
        runner.run_action("tpack.gone", {})
    with pytest.raises(ParameterError, match="required"):
        runner.run_action("tpack.echo", {})
    assert runner.executions.list() == []


def test_timeout_kills_the_whole_family(runner: PackRunner, tmp_path: Path) -> None:
    mark = str(tmp_path / "mark")
    execution = runner.run_action(
        "tpack.sleeper", {"seconds": 300, "family": True, "mark": mark, "timeout": 2}
    )
    assert execution.status == "timeout"
    result = execution.result
    assert result["error"] == "Action failed to complete in 2 seconds"
    assert (result["exit_code"], result["result"]) == (-9, "None")
    assert "still here" in result["stdout"]
    for name in (".child", ".daemon"):
        pid = int(Path(mark + name).read_text())
        assert not _alive(pid), f"{name} outlived the timeout"
    assert execution.process is not None
    assert not execution.process.alive()


def test_an_action_that_somebody_killed_looks_as_if_it_had_timed_out(
    runner: PackRunner, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    begun = runner.run_action("tpack.sleeper", {"seconds": 300, "mark": str(mark)}, wait=False)
    until(mark.with_suffix(".begun").exists)
    process = runner.executions.require(begun.id).process
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    execution = runner.wait(begun.id, timeout=20)
    assert execution.status == "timeout"
    assert execution.result["error"].startswith("Action failed to complete in ")
    assert (execution.result["exit_code"], execution.result["result"]) == (-9, "None")


def test_a_child_that_holds_stdout_does_not_hold_the_action(runner: PackRunner, tmp_path: Path) -> None:
    mark = str(tmp_path / "mark")
    execution = runner.run_action("tpack.sleeper", {"seconds": 0.5, "family": True, "mark": mark})
    assert execution.status == "succeeded"
    assert execution.seconds is not None
    assert execution.seconds < 6
    for name in (".child", ".daemon"):  # as in StackStorm children outlive an action that ended by itself
        pid = int(until(lambda name=name: Path(mark + name).exists() and Path(mark + name).read_text()))
        assert _alive(pid)
        os.kill(pid, 9)


def test_datastore_calls(runner: PackRunner) -> None:
    calls = [
        ["set_value", {"name": "a", "value": 1}],
        ["set_value", {"name": "g", "value": "all", "local": False, "ttl": 60, "encrypt": True}],
        ["get_value", {"name": "a"}],
        ["get_value", {"name": "g"}],
        ["get_value", {"name": "g", "local": False, "decrypt": True}],
        ["list_values", {"local": True, "prefix": "a"}],
        ["list_values", {"local": False, "prefix": "g", "limit": 10, "offset": 0}],
        ["delete_value", {"name": "a"}],
        ["delete_value", {"name": "a"}],
        ["get_user_info", {}],
    ]
    execution = runner.run_action("tpack.store", {"calls": calls}, user="me")
    assert execution.output == [
        True,
        True,
        "1",
        None,
        "all",
        [["tpack.Store:a", "1"]],
        [["g", "all"]],
        True,
        False,
        {"username": "me"},
    ]
    assert runner.datastore.get("g").value == "all"  # type: ignore[union-attr]


def test_another_scope_is_refused(runner: PackRunner) -> None:
    execution = runner.run_action("tpack.store", {"calls": [["get_value", {"name": "a", "scope": "user"}]]})
    assert "ValueError: Scope user is unsupported." in execution.result["stderr"]


def test_core_noop(runner: PackRunner) -> None:
    assert runner.run_action("core.noop").status == "succeeded"


def test_events(runner: PackRunner, seen: list[Event]) -> None:
    execution = runner.run_action("tpack.give", {"what": "x"})
    assert [(event.kind, event.execution, event.status) for event in seen] == [
        ("execution.started", execution.id, "running"),
        ("execution.ended", execution.id, "succeeded"),
    ]
    assert seen[1].result["result"] == "x"
    assert seen[1].as_dict()["seconds"] == execution.seconds


def _alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
