"""Executions in SQLite: they survive a restart, and any process on the machine can read and cancel them."""

from __future__ import annotations

import json
import secrets
import sqlite3
import time
from collections.abc import Callable, Mapping
from typing import Any

from packrunner import model, statuses
from packrunner.database import Database
from packrunner.execution import Execution
from packrunner.processes import Identity, own_identity


def new_id(now: float) -> str:
    """24 hexadecimal digits that sort by time, like StackStorm's."""
    return f"{int(now):08x}{secrets.token_hex(8)}"


def dump(value: Any) -> str:
    """JSON text; what JSON does not know becomes its ``str``."""
    return json.dumps(value, default=str)


def write_status(connection: sqlite3.Connection, row: sqlite3.Row, status: str, now: float) -> None:
    """Set the status and note it in the execution's log, inside the caller's transaction."""
    log = [*json.loads(row["log"]), {"status": status, "at": now}]
    connection.execute(
        "UPDATE executions SET status = ?, log = ? WHERE id = ?", (status, dump(log), row["id"])
    )


class History:
    """The table of executions. Only the engine that owns an execution changes its status."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    def create(
        self,
        action: model.Action,
        parameters: Mapping[str, Any],
        context: Mapping[str, Any],
        *,
        parent: str = "",
        task: str = "",
        attributes: Mapping[str, str] | None = None,
    ) -> Execution:
        """A new execution, ``requested``; ``parameters`` must be masked, ``attributes`` are digests."""
        now = self._clock()
        identity = new_id(now)
        log = dump([{"status": statuses.REQUESTED, "at": now}])
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO executions (id, parent, action, runner, task, status, parameters, context,"
                " started, log, attributes, engine) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    identity,
                    parent,
                    action.ref,
                    action.runner,
                    task,
                    statuses.REQUESTED,
                    dump(parameters),
                    dump(context),
                    now,
                    log,
                    dump(attributes or {}),
                    own_identity().to_json(),
                ),
            )
        return self.require(identity)

    def mark(self, identity: str, status: str) -> None:
        """A status on the way; a requested cancellation stays ``canceling``."""
        with self._database.transaction() as connection:
            self._mark(connection, identity, status)

    def _mark(self, connection: sqlite3.Connection, identity: str, status: str) -> None:
        row = connection.execute("SELECT * FROM executions WHERE id = ?", (identity,)).fetchone()
        if row["ended"] is None and not row["cancel_requested"] and row["status"] != status:
            write_status(connection, row, status, self._clock())

    def finish(self, identity: str, status: str, result: Any = None) -> Execution:
        """The end. A python action that was cancelled meanwhile is ``canceled``; its result is kept.

        An execution that has already ended stays as it is.
        """
        with self._database.transaction() as connection:
            row = connection.execute("SELECT * FROM executions WHERE id = ?", (identity,)).fetchone()
            if row["ended"] is None:
                if row["cancel_requested"] and row["runner"] != model.ORQUESTA:
                    status = statuses.CANCELED
                write_status(connection, row, status, self._clock())
                connection.execute(
                    "UPDATE executions SET ended = ?, result = ? WHERE id = ?",
                    (self._clock(), None if result is None else dump(result), identity),
                )
        return self.require(identity)

    def amend(self, identity: str, result: Any) -> None:
        """A later result of one that has ended: clean-up tasks may run after a workflow was called failed."""
        with self._database.transaction() as connection:
            connection.execute("UPDATE executions SET result = ? WHERE id = ?", (dump(result), identity))

    def set_process(self, identity: str, process: Identity) -> None:
        """Remember the python action's own process."""
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE executions SET process = ? WHERE id = ?", (process.to_json(), identity)
            )

    def cancel_requested(self, identity: str) -> bool:
        """Whether somebody, in any process, asked for the end."""
        rows = self._database.rows("SELECT cancel_requested FROM executions WHERE id = ?", (identity,))
        return bool(rows and rows[0]["cancel_requested"])

    def cancel(self, identity: str, user: str = "") -> Execution | None:
        """Ask for the end: no further task starts; a python action that runs is not told and goes on.

        As in StackStorm a sub-workflow takes its root along, and a workflow its sub-workflows and its
        delayed tasks.
        """
        self.bury()
        execution = self.get(identity)
        if execution is None or execution.final:
            return execution
        top = self._root(execution) if execution.runner == model.ORQUESTA else execution
        with self._database.transaction() as connection:
            self._cancel(connection, top.id, user)
        return self.get(identity)

    def _cancel(self, connection: sqlite3.Connection, identity: str, user: str) -> None:
        row = connection.execute("SELECT * FROM executions WHERE id = ?", (identity,)).fetchone()
        if row["ended"] is not None:
            return
        if not row["cancel_requested"]:
            write_status(connection, row, statuses.CANCELING, self._clock())
            connection.execute(
                "UPDATE executions SET cancel_requested = 1, canceled_by = ? WHERE id = ?", (user, identity)
            )
        children = connection.execute(
            "SELECT id FROM executions WHERE parent = ? AND ended IS NULL"
            " AND (runner = ? OR status IN (?, ?))",
            (identity, model.ORQUESTA, statuses.DELAYED, statuses.REQUESTED),
        ).fetchall()
        for child in children:
            self._cancel(connection, child["id"], user)

    def _root(self, execution: Execution) -> Execution:
        while execution.parent:
            execution = self.require(execution.parent)
        return execution

    def bury(self) -> list[str]:
        """Every execution whose engine is gone becomes ``abandoned``.

        :returns: their ids
        """
        gone: list[str] = []
        living: dict[str, bool] = {}
        for row in self._database.rows("SELECT id, engine FROM executions WHERE ended IS NULL"):
            engine = row["engine"]
            if not living.setdefault(engine, Identity.from_json(engine).alive()):
                gone.append(row["id"])
        for identity in gone:
            with self._database.transaction() as connection:
                row = connection.execute("SELECT * FROM executions WHERE id = ?", (identity,)).fetchone()
                if row["ended"] is None:
                    write_status(connection, row, statuses.ABANDONED, self._clock())
                    connection.execute(
                        "UPDATE executions SET ended = ? WHERE id = ?", (self._clock(), identity)
                    )
        return gone

    def unfinished(self) -> list[Execution]:
        """All that have not ended."""
        rows = self._database.rows("SELECT * FROM executions WHERE ended IS NULL ORDER BY seq")
        return [self._execution(row) for row in rows]

    def get(self, identity: str) -> Execution | None:
        """The execution, or None."""
        rows = self._database.rows("SELECT * FROM executions WHERE id = ?", (identity,))
        return self._execution(rows[0]) if rows else None

    def require(self, identity: str) -> Execution:
        """The execution that must exist.

        :raises KeyError: it does not
        """
        execution = self.get(identity)
        if execution is None:
            raise KeyError(identity)
        return execution

    def find(
        self,
        *,
        parent: str | None = None,
        action: str | None = None,
        status: str | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> list[Execution]:
        """Newest first; ``parent`` empty for those without one, None for all; ``limit`` -1 for no limit."""
        wanted = {"parent": parent, "action": action, "status": status}
        given = {column: value for column, value in wanted.items() if value is not None}
        where = " AND ".join(f"{column} = ?" for column in given) or "1"
        rows = self._database.rows(
            f"SELECT * FROM executions WHERE {where} ORDER BY seq DESC LIMIT ? OFFSET ?",  # noqa: S608  own names
            (*given.values(), limit, offset),
        )
        return [self._execution(row) for row in rows]

    def _execution(self, row: sqlite3.Row) -> Execution:
        children = self._database.rows(
            "SELECT id FROM executions WHERE parent = ? ORDER BY seq", (row["id"],)
        )
        return Execution(
            id=row["id"],
            action=row["action"],
            runner=row["runner"],
            status=row["status"],
            engine=Identity.from_json(row["engine"]),
            started=row["started"],
            parent=row["parent"],
            task=row["task"],
            parameters=json.loads(row["parameters"]),
            context=json.loads(row["context"]),
            result=None if row["result"] is None else json.loads(row["result"]),
            ended=row["ended"],
            log=tuple(json.loads(row["log"])),
            cancel_requested=bool(row["cancel_requested"]),
            canceled_by=row["canceled_by"],
            process=Identity.from_json(row["process"]) if row["process"] else None,
            children=tuple(child["id"] for child in children),
        )
