"""Conducts one workflow with orquesta's own WorkflowConductor, in the order in which StackStorm calls it.

One thread owns the conductor; every action runs in a thread of its own and comes back through a queue. What
ends a workflow there ends it here: once the conductor says failed or cancelled, no further task starts, while
actions that run go on to their natural end.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from packrunner import compat, statuses

compat.prepare()

from orquesta import conducting, events, exceptions  # noqa: E402
from orquesta.specs import loader  # noqa: E402

from packrunner.executor import Order  # noqa: E402
from packrunner.inspection import inspect  # noqa: E402

if TYPE_CHECKING:
    from packrunner.execution import Execution
    from packrunner.executor import Executor, Prepared

LOG = logging.getLogger(__name__)

_POLL_SECONDS = 0.5  # how often the database is asked whether somebody cancelled
# Orquesta keeps its expression evaluators in module globals; they were written for green threads.
_ORQUESTA = threading.RLock()


def conduct(executor: Executor, prepared: Prepared, inputs: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Run the workflow; returns its final status and ``{"output": ..., "errors": [...]}``."""
    context = _context(executor, prepared)
    try:
        definition = prepared.action.entry_point.read_text(encoding="utf-8")
        with _ORQUESTA:
            spec = loader.get_spec_module("native").instantiate(definition)
            found = inspect(spec, context, executor.find)
            if found:
                return statuses.FAILED, {"output": None, "errors": found}
            conductor = conducting.WorkflowConductor(spec, context=context, inputs=dict(inputs))
            conductor.serialize()  # makes it render inputs and variables
    except Exception as error:
        LOG.debug("workflow %s does not start", prepared.action.ref, exc_info=True)
        return statuses.FAILED, {"output": None, "errors": [{"message": str(error)}]}
    return _Run(executor, prepared, conductor).run()


def _context(executor: Executor, prepared: Prepared) -> dict[str, Any]:
    """What the workflow finds under ``ctx().st2`` and ``ctx().parent``."""
    given = prepared.execution.context
    about = {
        "action_execution_id": prepared.execution.id,
        "workflow_execution_id": prepared.execution.id,
        "api_url": executor.surroundings.api_url,
        "user": given.get("user"),
        "pack": prepared.action.pack,
        "action": prepared.action.ref,
        "runner": prepared.action.runner,
    }
    about.update({name: given[name] for name in ("api_user", "source_channel") if given.get(name)})
    return {"st2": about, "parent": dict(given)}


@dataclass(frozen=True)
class _Done:
    """An action of a task came back; ``item`` is its place in a ``with: items`` task."""

    task: str
    route: int
    item: int | None
    execution: Execution


class _Run:
    """One run of one workflow."""

    def __init__(self, executor: Executor, prepared: Prepared, conductor: Any) -> None:
        self._executor = executor
        self._prepared = prepared
        self._conductor = conductor
        self._done: queue.SimpleQueue[_Done] = queue.SimpleQueue()
        self._active = 0
        self._items: dict[tuple[str, int], list[Any]] = {}

    def run(self) -> tuple[str, dict[str, Any]]:
        """Until no action of it runs any more, which may be after the workflow itself has failed."""
        if self._status() not in statuses.FINAL:
            self._guarded(None, self._conductor.request_workflow_status, statuses.RUNNING)
            self._advance()
        while self._active:
            try:
                done = self._done.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                self._heed_cancel()
                continue
            self._active -= 1
            self._heed_cancel()
            self._guarded(done.task, self._complete, done)
            self._advance()
        if self._status() not in statuses.FINAL:
            self._fail(RuntimeError(f"the workflow stands still in status {self._status()}"), None)
        self._record_end()
        self._executor.history.amend(self._prepared.execution.id, self._result())
        return self._status(), self._result()

    def _status(self) -> str:
        return str(self._conductor.get_workflow_status())

    def _advance(self) -> None:
        """Start whatever the conductor says is next; a task without an action completes at once: again."""
        while tasks := self._next_tasks():
            for task in tasks:
                self._guarded(task["id"], self._mark_running, task)
            for task in tasks:
                try:
                    self._start(task)
                except Exception as error:  # noqa: BLE001  it fails the workflow and is recorded there
                    LOG.info("task %s cannot be started: %s", task["id"], error)
                    self._fail(error, task["id"], task["route"])
                    self._record_end()
                    return
        self._record_end()

    def _next_tasks(self) -> list[Any]:
        self._heed_cancel()
        return self._guarded(None, self._conductor.get_next_tasks) or []

    def _mark_running(self, task: Any) -> None:
        if task["spec"].has_items() and not task.get("items_count"):
            self._tell(task, None, statuses.RUNNING)
        for action in task["actions"]:
            self._tell(task, action.get("item_id"), statuses.RUNNING)

    def _tell(self, task: Any, item: int | None, status: str) -> None:
        event = (
            events.ActionExecutionEvent(status)
            if item is None
            else events.TaskItemActionExecutionEvent(item, status)
        )
        self._conductor.update_task_state(task["id"], task["route"], event)

    def _start(self, task: Any) -> None:
        """Start the task's actions.

        :raises ParameterError, UnknownActionError: an input does not fit, which ends the whole workflow
        """
        key = (task["id"], task["route"])
        itemized = task["spec"].has_items()
        if task["spec"].action is None or (itemized and not task["items_count"]):
            with _ORQUESTA:
                self._tell(task, None, statuses.SUCCEEDED)
            return
        if itemized:
            self._items.setdefault(key, [None] * task["items_count"])
        for action in task["actions"]:
            item = action.get("item_id")
            accepted = self._executor.prepare(self._order(task, action))
            self._executor.in_thread(accepted, partial(self._work, accepted, *key, item))
            self._active += 1

    def _order(self, task: Any, action: Any) -> Order:
        item, concurrency = action.get("item_id"), task.get("concurrency")
        # With a concurrency only the first batch of items is delayed.
        delayed = item is None or not concurrency or item < concurrency
        given = self._prepared.execution.context
        about = {"workflow_execution_id": self._prepared.execution.id, "task_name": task["id"]}
        about.update({"task_id": task["id"], "task_route": task["route"]})
        if item is not None:
            about["item_id"] = item
        inherited = {name: given[name] for name in ("user", "api_user", "source_channel") if given.get(name)}
        parent = {
            "execution_id": self._prepared.execution.id,
            "pack": self._prepared.action.pack,
            **inherited,
        }
        pack = action["action"].partition(".")[0]
        return Order(
            action=action["action"],
            passed=action["input"] or {},
            context={**inherited, "pack": pack, "parent": parent, "orquesta": about},
            parent=self._prepared.execution.id,
            root=self._prepared.root,
            task=task["id"],
            delay=float(task.get("delay") or 0) if delayed else 0.0,
            templated=True,
        )

    def _work(self, accepted: Prepared, task: str, route: int, item: int | None) -> None:
        self._done.put(_Done(task, route, item, self._executor.run(accepted)))

    def _complete(self, done: _Done) -> None:
        status, result = done.execution.status, done.execution.result
        if done.item is None:
            event = events.ActionExecutionEvent(status, result=result)
        else:
            results = self._items[(done.task, done.route)]
            results[done.item] = result
            event = events.TaskItemActionExecutionEvent(
                done.item, status, result=result, accumulated_result=list(results)
            )
        self._conductor.update_task_state(done.task, done.route, event)
        if self._conductor.get_task_state_entry(done.task, done.route)["status"] in statuses.FINAL:
            self._items.pop((done.task, done.route), None)

    def _heed_cancel(self) -> None:
        cancelled = (statuses.CANCELING, statuses.CANCELED)
        if self._status() in (*statuses.FINAL, *cancelled):
            return
        if self._executor.history.cancel_requested(self._prepared.execution.id):
            self._guarded(None, self._conductor.request_workflow_status, statuses.CANCELED)

    def _guarded(self, task: str | None, call: Callable[..., Any], *arguments: Any) -> Any:
        """Call into the conductor; whatever it raises fails the workflow, and the answer is None."""
        with _ORQUESTA:
            try:
                return call(*arguments)
            except Exception as error:
                LOG.info("workflow %s: %s", self._prepared.action.ref, error, exc_info=True)
                self._fail(error, task)
                return None

    def _fail(self, error: Exception, task: str | None, route: int | None = None) -> None:
        with _ORQUESTA, contextlib.suppress(exceptions.InvalidWorkflowStatusTransition):
            self._conductor.log_error(error, task_id=task, route=route)
            self._conductor.request_workflow_status(statuses.FAILED)

    def _record_end(self) -> None:
        """The moment the conductor calls the workflow ended it is recorded, even when actions still run."""
        if self._status() not in statuses.FINAL:
            return
        self._guarded(None, self._conductor.render_workflow_output)
        self._executor.history.finish(self._prepared.execution.id, self._status(), self._result())

    def _result(self) -> dict[str, Any]:
        result = {"output": self._conductor.get_workflow_output() or None}
        if self._status() in statuses.ABENDED:
            result["errors"] = self._conductor.errors
        return result
