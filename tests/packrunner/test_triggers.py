"""Triggers and rules: schemas, criteria, parameters, what is recorded."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from packrunner import criteria
from packrunner.errors import PayloadError
from packrunner.events import Event
from packrunner.executor import Order, Prepared
from packrunner.runner import PackRunner

from .conftest import until


def test_a_match_starts_the_action_with_cast_parameters(runner: PackRunner, state_dir: Path) -> None:
    instance = runner.inject_trigger("tpack.beat.seen", {"host": "db1", "level": 5, "marks": ["a", "b"]})
    assert list(instance.started) == ["tpack.on_beat"]
    ended = runner.wait(instance.started["tpack.on_beat"].id)
    got = ended.output["parameters"]
    assert (got["text"], got["number"], got["names"]) == ("db1", 5, ["a", "b"])
    assert got["nested"] == {"token": "db1"}
    assert ended.parameters["nested"] == {"token": "********"}
    assert ended.context["trigger_instance"] == {"id": instance.id, "name": "tpack.beat.seen"}
    assert ended.context["rule"] == {"name": "tpack.on_beat"}
    rows = sqlite3.connect(state_dir / "packrunner.db").execute(
        "SELECT trigger, payload, rules FROM trigger_instances"
    )
    trigger, payload, rules = rows.fetchone()
    assert trigger == "tpack.beat.seen"
    assert json.loads(payload)["host"] == "db1"
    assert json.loads(rules) == {"tpack.on_beat": ended.id}


@pytest.mark.parametrize(
    "payload", [{"host": "web1", "level": 5}, {"host": "db1", "level": 2}, {"host": "db1"}]
)
def test_no_match(runner: PackRunner, payload: dict[str, Any]) -> None:
    assert runner.inject_trigger("tpack.beat.seen", payload).started == {}
    assert runner.executions.list() == []


def test_a_rule_starts_a_workflow(runner: PackRunner) -> None:
    instance = runner.inject_trigger("tpack.beat.seen", {"host": "wf1"})
    ended = runner.wait(instance.started["tpack.zz_to_workflow"].id)
    assert ended.output["said"] == "wf1-1"


@pytest.mark.parametrize(
    ("trigger", "payload", "reason"),
    [
        ("tpack.beat.seen", {}, "'host' is a required property"),
        ("tpack.beat.seen", {"host": "a", "level": "high"}, "level: 'high' is not of type"),
        ("tpack.beat.seen", {"host": "a", "more": 1}, "'more' was unexpected"),
        ("tpack.beat.gone", {"host": "a"}, "declares no such trigger type"),
    ],
)
def test_a_bad_payload_is_refused(
    runner: PackRunner, state_dir: Path, trigger: str, payload: dict[str, Any], reason: str
) -> None:
    with pytest.raises(PayloadError) as caught:
        runner.inject_trigger(trigger, payload)
    assert reason in str(caught.value)
    rows = sqlite3.connect(state_dir / "packrunner.db").execute("SELECT count(*) FROM trigger_instances")
    assert rows.fetchone() == (0,)


def test_workers_take_executions_in_the_order_of_their_records(
    runner: PackRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two sensors at once; the first one's thread stands still between its record and the workers' queue."""
    executor = runner._executor
    prepare, recorded, queued = executor.prepare, threading.Event(), []

    def slow(order: Order) -> Prepared:
        prepared = prepare(order)
        if not recorded.is_set():
            recorded.set()
            time.sleep(0.3)
        return prepared

    monkeypatch.setattr(executor, "prepare", slow)
    monkeypatch.setattr(executor, "run", lambda prepared: queued.append(prepared.execution.id))
    payload = {"host": "db1", "level": 5, "marks": []}
    first = threading.Thread(target=runner.inject_trigger, args=("tpack.beat.seen", payload))
    first.start()
    assert recorded.wait(5)
    runner.inject_trigger("tpack.beat.seen", payload)
    first.join()
    until(lambda: len(queued) == 2)
    assert queued == [execution.id for execution in runner.executions.list()[::-1]]


def test_a_template_that_fails_is_a_failed_execution(runner: PackRunner, seen: list[Event]) -> None:
    instance = runner.inject_trigger("tpack.beat.other", {})
    failed = instance.started["tpack.bad_template"]
    assert failed.status == "failed"
    assert "missing" in failed.result["error"]
    assert [event.detail["rule"] for event in seen if event.kind == "rule.failed"] == ["tpack.bad_template"]


OLD = "2001-01-01T00:00:00+00:00"


@pytest.mark.parametrize(
    ("operator", "value", "pattern", "expected"),
    [
        ("equals", "a", "a", True),
        ("equals", "a", None, False),
        ("eq", 1, 2, False),
        ("nequals", 1, 2, True),
        ("iequals", "A", "a", True),
        ("gt", 3, 2, True),
        ("greaterthan", 2, 2, False),
        ("lt", 1, 2, True),
        ("lessthan", 3, 2, False),
        ("lt", "x", 2, False),  # cannot be judged: no match
        ("contains", ["a", "b"], "a", True),
        ("icontains", "ABC", "b", True),
        ("ncontains", "abc", "x", True),
        ("incontains", "ABC", "b", False),
        ("startswith", "db1", "db", True),
        ("istartswith", "DB1", "db", True),
        ("endswith", "db1", "1", True),
        ("iendswith", "dbX", "x", True),
        ("exists", 0, None, True),
        ("exists", None, None, False),
        ("nexists", None, None, True),
        ("inside", "a", ["a", "b"], True),
        ("in", "a", "abc", True),
        ("ninside", "c", ["a", "b"], True),
        ("matchregex", "db12", r"db\d+$", True),
        ("matchregex", "xdb12", r"db\d+$", False),
        ("regex", "xdb12", r"db\d+$", True),
        ("iregex", "XDB12", r"db\d+$", True),
        ("regex", 12, r"\d", False),
        ("matchwildcard", "db12", "db*", True),
        ("timediff_gt", OLD, 60, True),
        ("td_lt", OLD, 60, False),
        ("equals", "db1", "{{ trigger.other }}", True),
        ("gt", 8, "{{ trigger.seven }}", True),
        ("equals", "db1", "{{ trigger.gone }}", False),
        ("equals", "key value", "{{ st2kv.system.some.key }}", True),
    ],
)
def test_operators(operator: str, value: Any, pattern: Any, expected: bool) -> None:
    from packrunner.templates import datastore_context

    payload = {"value": value, "other": "db1", "seven": 7}
    found = criteria.matches(
        {"trigger.value": {"type": operator, "pattern": pattern}},
        payload,
        datastore_context({"some.key": "key value"}.get),
    )
    assert found is expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("trigger.a.b", 1),
        ("trigger.list[1].x", 2),
        ("trigger.list[*].x", 1),
        ("trigger.gone.x", None),
        ("trigger.list[9]", None),
        ("trigger.a.b.c", None),
    ],
)
def test_lookup(path: str, expected: Any) -> None:
    context = {"trigger": {"a": {"b": 1}, "list": [{"x": 1}, {"x": 2}]}}
    assert criteria.lookup(context, path) == expected


@pytest.mark.parametrize(("condition", "expected"), [("any", True), ("all", False), ("any2any", True)])
def test_search(condition: str, expected: bool) -> None:
    child = {"item.x#1": {"type": "gt", "pattern": 1}, "item.x#2": {"type": "lt", "pattern": 5}}
    rule = {"trigger.list": {"type": "search", "condition": condition, "pattern": child}}
    assert criteria.matches(rule, {"list": [{"x": 2}, {"x": 9}]}, {}) is expected
