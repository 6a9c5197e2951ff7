"""From a trigger to the executions that rules start: schema, history, criteria, parameters."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from packrunner import criteria, events, model, templates, validation
from packrunner.database import Database
from packrunner.errors import PackRunnerError, ParameterError, PayloadError
from packrunner.execution import Execution
from packrunner.executor import Executor, Order
from packrunner.history import dump, new_id
from packrunner.pool import Pool

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class TriggerInstance:
    """A trigger that was accepted: ``started`` maps the rules that matched to the execution each began."""

    id: str
    trigger: str
    payload: Mapping[str, Any]
    occurred: float
    started: Mapping[str, Execution] = field(default_factory=dict)


class Dispatcher:
    """Takes triggers in, one at a time each from its sensor's thread, and starts what the rules say."""

    def __init__(
        self,
        executor: Executor,
        database: Database,
        pool: Pool,
        listener: events.Events,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._executor = executor
        self._pack = executor.pack
        self._database = database
        self._pool = pool
        self._listener = listener
        self._clock = clock
        # Workers take executions in the order of their records: one that waits for an earlier one must not
        # keep it from a worker.
        self._in_order = threading.RLock()

    def dispatch(self, trigger: str, payload: Any) -> None:
        """As a sensor does it: a trigger that is not accepted is dropped with a warning, as in StackStorm."""
        try:
            self.accept(trigger, payload)
        except PayloadError as error:
            LOG.warning("not dispatching a trigger: %s", error)
            self._emit(events.TRIGGER_DROPPED, trigger=trigger, payload=payload, reason=str(error))

    def accept(self, trigger: str, payload: Any) -> TriggerInstance:
        """Check, record, and start an execution for every rule that matches.

        :raises PayloadError: no such trigger type, or the payload does not fit; nothing was recorded
        """
        self._check(trigger, payload)
        instance = TriggerInstance(new_id(self._clock()), trigger, payload or {}, self._clock())
        self._record(instance)
        self._emit(events.TRIGGER, trigger=trigger, payload=payload, id=instance.id)
        started: dict[str, Execution] = {}
        context = templates.datastore_context(self._executor.lookup)
        for rule in self._pack.rules.values():
            if rule.enabled and rule.trigger == trigger and criteria.matches(rule.criteria, payload, context):
                execution = self._enforce(rule, instance)
                if execution:
                    started[rule.ref] = execution
        with self._database.transaction() as connection:
            ids = dump({rule: execution.id for rule, execution in started.items()})
            connection.execute("UPDATE trigger_instances SET rules = ? WHERE id = ?", (ids, instance.id))
        return TriggerInstance(instance.id, trigger, instance.payload, instance.occurred, started)

    def _check(self, trigger: str, payload: Any) -> None:
        kind = self._pack.triggers.get(trigger)
        if kind is None:
            raise PayloadError(f"{trigger}: the pack declares no such trigger type")
        given = payload or {}
        if isinstance(given, dict):
            given = validation.with_defaults(given, kind.payload_schema)
        found = validation.problems(given, validation.nullable(kind.payload_schema))
        if found:
            path, reason = found[0]
            raise PayloadError(f"{trigger}: {path}: {reason}" if path else f"{trigger}: {reason}")

    def _enforce(self, rule: model.Rule, instance: TriggerInstance) -> Execution | None:
        order = Order(
            action=rule.action,
            passed=rule.parameters,
            context={
                "user": "packrunner",
                "pack": self._pack.ref,
                "rule": {"name": rule.ref},
                "trigger_instance": {"id": instance.id, "name": instance.trigger},
            },
            names={"trigger": instance.payload},
            templated=True,
        )
        with self._in_order:
            return self._start(rule, instance, order)

    def _start(self, rule: model.Rule, instance: TriggerInstance, order: Order) -> Execution | None:
        try:
            prepared = self._executor.prepare(order)
        except PackRunnerError as error:
            LOG.error("rule %s: its action cannot be started: %s", rule.ref, error)
            self._emit(events.RULE_FAILED, rule=rule.ref, trigger=instance.trigger, reason=str(error))
            return self._executor.refuse(order, error) if isinstance(error, ParameterError) else None
        self._emit(
            events.RULE_MATCHED,
            rule=rule.ref,
            trigger=instance.trigger,
            action=rule.action,
            execution=prepared.execution.id,
        )
        self._pool.submit(lambda: self._executor.run(prepared))
        return prepared.execution

    def _record(self, instance: TriggerInstance) -> None:
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO trigger_instances (id, trigger, payload, occurred, rules)"
                " VALUES (?, ?, ?, ?, '{}')",
                (instance.id, instance.trigger, dump(instance.payload), instance.occurred),
            )

    def _emit(self, kind: str, **detail: Any) -> None:
        self._listener.emit(events.Event(kind=kind, at=self._clock(), detail=detail))
