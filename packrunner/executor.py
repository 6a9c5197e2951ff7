"""Runs one action of any kind: parameters, history, policy, delay, the deed, the end."""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from packrunner import events, model, parameters, policies, python_action, statuses, templates
from packrunner.casts import cast
from packrunner.config import resolve_config
from packrunner.database import Database
from packrunner.datastore import Datastore
from packrunner.errors import UnknownActionError
from packrunner.execution import Execution
from packrunner.history import History
from packrunner.python_action import Surroundings

LOG = logging.getLogger(__name__)

_POLL_SECONDS = 0.25  # how often a delayed execution looks whether it may start
_BUILT_IN = {"core.noop": model.Action("core.noop", model.NOOP, Path(os.devnull))}


@dataclass(frozen=True)
class Order:
    """An action to run: ``names`` is what its parameters' templates may refer to, ``delay`` in seconds.

    ``context`` is stored with the execution: user, pack, and where it came from. ``templated`` says that the
    passed values may hold Jinja, ``cast_with`` how strings become other types.
    """

    action: str
    passed: Mapping[str, Any] = field(default_factory=dict)
    context: Mapping[str, Any] = field(default_factory=dict)
    names: Mapping[str, Any] = field(default_factory=dict)
    parent: str = ""
    root: str = ""
    task: str = ""
    delay: float = 0.0
    templated: bool = False
    cast_with: Callable[[Any, Mapping[str, Any]], Any] = cast


@dataclass(frozen=True)
class Prepared:
    """An order that was accepted: its execution exists in status ``requested``."""

    order: Order
    action: model.Action
    explicit: Mapping[str, Any]
    execution: Execution

    @property
    def root(self) -> str:
        """The outermost execution's id."""
        return self.order.root or self.execution.id


class Executor:
    """Accepts orders and runs them, each in the thread that calls ``run``."""

    def __init__(
        self,
        pack: model.Pack,
        database: Database,
        surroundings: Surroundings,
        listener: events.Events,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.pack = pack
        self.history = History(database, clock)
        self.surroundings = surroundings
        self._database = database
        self._datastore = Datastore(database, clock)
        self._gate = policies.Gate(database, pack.policies, clock)
        self._listener = listener
        self._clock = clock
        self._sleep = sleep
        self._running: set[str] = set()

    def find(self, ref: str) -> model.Action:
        """The action of that ref.

        :raises UnknownActionError: there is none, or it is disabled
        """
        action = self.pack.actions.get(ref) or _BUILT_IN.get(ref)
        if action is None:
            raise UnknownActionError(f'Unable to find action "{ref}".')
        if not action.enabled:
            raise UnknownActionError(f'Unable to execute. Action "{ref}" is disabled.')
        return action

    def prepare(self, order: Order) -> Prepared:
        """Check an order and record its execution.

        :raises UnknownActionError: no such action
        :raises ParameterError: the parameters do not fit
        """
        action = self.find(order.action)
        explicit = parameters.live(
            action,
            order.passed,
            self._names(order),
            templated=order.templated,
            cast_with=order.cast_with,
        )
        execution = self.history.create(
            action,
            parameters.masked(action, explicit),
            order.context,
            parent=order.parent,
            task=order.task,
            attributes=policies.digests(action, self.pack.policies, explicit),
        )
        return Prepared(order, action, explicit, execution)

    def refuse(self, order: Order, error: Exception) -> Execution:
        """Record an order whose templates could not be rendered, as StackStorm does for a rule's action."""
        action = self.find(order.action)
        execution = self.history.create(action, {}, order.context, parent=order.parent, task=order.task)
        return self.history.finish(execution.id, statuses.FAILED, {"error": str(error)})

    def run(self, prepared: Prepared) -> Execution:
        """Run it to its end, whatever that is; raises nothing."""
        with self._busy(prepared.execution.id):
            return self._run(prepared)

    def in_thread(self, prepared: Prepared, work: Callable[[], object]) -> threading.Thread:
        """Do what runs this execution in a thread of its own.

        :raises RuntimeError: the machine gives no thread; the execution is failed, since others wait for it
        """
        thread = threading.Thread(target=work, daemon=True, name=prepared.execution.id)
        try:
            thread.start()
        except RuntimeError as error:
            self._finish_somehow(prepared, {"error": f"It was not started: {error}."})
            raise
        return thread

    def busy(self) -> frozenset[str]:
        """Executions that are in ``run``; a workflow may be there after its recorded end, to clean up."""
        return frozenset(self._running)

    @contextlib.contextmanager
    def _busy(self, identity: str) -> Iterator[None]:
        self._running.add(identity)
        try:
            yield
        finally:
            self._running.discard(identity)

    def _run(self, prepared: Prepared) -> Execution:
        try:
            if not self._wait_for_delay(prepared) or not self._pass_gate(prepared):
                return self._finish(prepared, statuses.CANCELED)
            self.tell(prepared, events.EXECUTION_STARTED, statuses.RUNNING)
            return self._finish(prepared, *self._perform(prepared))
        except Exception as error:
            LOG.exception("execution %s of %s failed", prepared.execution.id, prepared.action.ref)
            result = {"error": str(error), "traceback": traceback.format_exc(limit=20)}
            return self._finish_somehow(prepared, result)

    def tell(self, prepared: Prepared, kind: str, status: str, **more: Any) -> None:
        """Emit an event about an execution."""
        self._listener.emit(
            events.Event(
                kind=kind,
                at=self._clock(),
                execution=prepared.execution.id,
                parent=prepared.order.parent,
                root=prepared.root,
                action=prepared.action.ref,
                task=prepared.order.task,
                status=status,
                **more,
            )
        )

    def _names(self, order: Order) -> dict[str, Any]:
        return {
            **templates.datastore_context(self.lookup),
            "action_context": order.context,
            "config_context": self.surroundings.config,
            **order.names,
        }

    def lookup(self, key: str) -> str | None:
        """The value of a datastore key, for templates."""
        pair = self._datastore.get(key)
        return pair.value if pair else None

    def _finish(self, prepared: Prepared, status: str, result: Any = None) -> Execution:
        execution = self.history.finish(prepared.execution.id, status, result)
        self.tell(
            prepared,
            events.EXECUTION_ENDED,
            execution.status,
            result=execution.result,
            seconds=execution.seconds,
        )
        return execution

    def _finish_somehow(self, prepared: Prepared, result: dict[str, Any]) -> Execution:
        """Failed, also when the database does not take it: a workflow must not wait for this for ever."""
        try:
            return self._finish(prepared, statuses.FAILED, result)
        except sqlite3.Error:
            LOG.exception("the end of execution %s cannot be recorded", prepared.execution.id)
            return replace(prepared.execution, status=statuses.FAILED, result=result, ended=self._clock())

    def _cancelled(self, prepared: Prepared) -> bool:
        """Whether it, or the workflow that is just starting it, was cancelled meanwhile."""
        concerned = (prepared.execution.id, prepared.order.parent)
        return any(self.history.cancel_requested(identity) for identity in concerned if identity)

    def _wait_for_delay(self, prepared: Prepared) -> bool:
        """False when it was cancelled before its time came."""
        identity = prepared.execution.id
        until = self._clock() + prepared.order.delay
        if prepared.order.delay > 0:
            self.history.mark(identity, statuses.DELAYED)
        while True:
            if self._cancelled(prepared):
                return False
            left = until - self._clock()
            if left <= 0:
                return True
            self._sleep(min(left, _POLL_SECONDS))

    def _pass_gate(self, prepared: Prepared) -> bool:
        """Wait until the policies let it start; False when they, or somebody meanwhile, cancelled it."""
        identity = prepared.execution.id
        told = False
        while True:
            verdict = self._gate.admit(prepared.action, identity)
            if verdict == "cancel" or self._cancelled(prepared):
                return False
            if verdict is None:
                return True
            if not told:
                self.history.mark(identity, statuses.DELAYED)
                self.tell(prepared, events.EXECUTION_DELAYED, statuses.DELAYED)
                told = True
            self._sleep(_POLL_SECONDS)

    def _perform(self, prepared: Prepared) -> tuple[str, Any]:
        values = parameters.final(prepared.action, prepared.explicit, self._names(prepared.order))
        of_runner, of_action = parameters.split(prepared.action, values)
        if prepared.action.runner == model.NOOP:
            return statuses.SUCCEEDED, {}
        if prepared.action.runner == model.ORQUESTA:
            from packrunner.workflow import conduct

            return conduct(self, prepared, of_action)
        return python_action.run(
            python_action.Deed(
                action=prepared.action,
                execution=prepared.execution.id,
                user=str(prepared.order.context.get("user", "")),
                runner_parameters=of_runner,
                parameters=of_action,
                config=resolve_config(self.surroundings.config, self.lookup),
                database=self._database.file,
                actions_directory=self.pack.directory / "actions",
            ),
            self.surroundings,
            lambda process: self.history.set_process(prepared.execution.id, process),
        )
