"""One execution as data, and in the shape of StackStorm's REST API."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from packrunner import statuses
from packrunner.processes import Identity


@dataclass(frozen=True)
class Execution:
    """A run of an action. Times are epoch seconds; ``parameters`` were passed explicitly and are masked.

    ``engine`` is the process that conducts it, ``process`` the python action's own one. ``result`` is None as
    long as there is none.
    """

    id: str
    action: str
    runner: str
    status: str
    engine: Identity
    started: float
    parent: str = ""
    task: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    context: Mapping[str, Any] = field(default_factory=dict)
    result: Any = None
    ended: float | None = None
    log: tuple[Mapping[str, Any], ...] = ()
    cancel_requested: bool = False
    canceled_by: str = ""
    process: Identity | None = None
    children: tuple[str, ...] = ()

    @property
    def final(self) -> bool:
        """Whether it ended."""
        return self.status in statuses.FINAL

    @property
    def succeeded(self) -> bool:
        """Whether it ended well."""
        return self.status == statuses.SUCCEEDED

    @property
    def output(self) -> Any:
        """A workflow's ``output``, a python action's ``result``; None when there is none."""
        if not isinstance(self.result, Mapping):
            return None
        return self.result.get("output", self.result.get("result"))

    @property
    def seconds(self) -> float | None:
        """How long it took; None while it runs."""
        return None if self.ended is None else self.ended - self.started

    def as_api(self) -> dict[str, Any]:
        """The document that GET /v1/executions/ID answers; like there, empty attributes are left out."""
        pack, _, name = self.action.partition(".")
        document = {
            "id": self.id,
            "parent": self.parent,
            "children": list(self.children),
            "status": self.status,
            "action": {"ref": self.action, "pack": pack, "name": name, "runner_type": self.runner},
            "runner": {"name": self.runner},
            "parameters": dict(self.parameters),
            "context": self._api_context(),
            "result": self.result,
            "start_timestamp": iso(self.started),
            "end_timestamp": iso(self.ended) if self.ended else None,
            "elapsed_seconds": self.seconds,
            "log": [{"status": entry["status"], "timestamp": iso(entry["at"])} for entry in self.log],
            "liveaction": {"id": self.id, "action": self.action, "runner_info": self.runner_info()},
        }
        return {key: value for key, value in document.items() if value}

    def runner_info(self) -> dict[str, Any]:
        """Who runs it: ``hostname`` and ``pid`` as StackStorm has them, and the action's own process."""
        info: dict[str, Any] = {
            "hostname": socket.gethostname(),
            "pid": self.engine.pid,
            "alive": self.engine.alive(),
        }
        if self.process:
            info["action"] = {
                "pid": self.process.pid,
                "start_ticks": self.process.start_ticks,
                "boot_id": self.process.boot_id,
                "alive": self.process.alive(),
            }
        return info

    def _api_context(self) -> dict[str, Any]:
        canceled = {"cancelled_by": self.canceled_by} if self.canceled_by else {}
        return {**self.context, **canceled}


def iso(at: float) -> str:
    """Epoch seconds as StackStorm writes times, UTC."""
    return datetime.fromtimestamp(at, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
