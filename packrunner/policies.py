"""``action.concurrency.attr`` across all processes that share the state directory."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from packrunner import model, statuses
from packrunner.database import Database
from packrunner.history import write_status
from packrunner.processes import Identity


def digests(
    action: model.Action, policies: Mapping[str, model.Policy], explicit: Mapping[str, Any]
) -> dict[str, str]:
    """Attribute to digest of its value (that may be secret), for attributes that were passed explicitly."""
    names = {name for policy in _of(action, policies) for name in policy.attributes}
    return {name: _digest(explicit[name]) for name in sorted(names & set(explicit))}


def _of(action: model.Action, policies: Mapping[str, model.Policy]) -> list[model.Policy]:
    return [policy for policy in policies.values() if policy.enabled and policy.resource == action.ref]


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


class Gate:
    """Decides whether an execution may start now."""

    def __init__(
        self,
        database: Database,
        policies: Mapping[str, model.Policy],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._clock = clock
        self._policies = policies

    def admit(self, action: model.Action, identity: str) -> str | None:
        """Set the execution running, or say what the policy wants instead: ``delay`` or ``cancel``.

        The count and the change of status are one transaction. As in StackStorm what counts is the running
        executions that agree in every attribute that *this one* was given; here, those of dead engines do not
        count, and those before this one come first, whether they are delayed or have not come so far.
        """
        with self._database.transaction() as connection:
            row = connection.execute("SELECT * FROM executions WHERE id = ?", (identity,)).fetchone()
            for policy in _of(action, self._policies):
                if self._full(connection, policy, row):
                    return policy.action
            if not row["cancel_requested"]:
                write_status(connection, row, statuses.RUNNING, self._clock())
        return None

    @staticmethod
    def _full(connection: Any, policy: model.Policy, row: Any) -> bool:
        given = json.loads(row["attributes"])
        wanted = {name: given[name] for name in policy.attributes if name in given}
        others = connection.execute(
            "SELECT attributes, engine FROM executions WHERE action = ? AND ended IS NULL AND id != ?"
            " AND (status = ? OR (status IN (?, ?) AND seq < ?))",
            (policy.resource, row["id"], statuses.RUNNING, statuses.DELAYED, statuses.REQUESTED, row["seq"]),
        )
        count = 0
        for other in others:
            has = json.loads(other["attributes"])
            same = all(has.get(name) == value for name, value in wanted.items())
            count += same and Identity.from_json(other["engine"]).alive()
        return count >= policy.threshold
