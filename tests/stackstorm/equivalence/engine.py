"""What both engines can do, as the scenarios need it."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

KINDS = ("f:", "h:", "i:", "o:")  # of the pack's keys: fleet, hosts, incidents, outbox


@dataclass
class Run:
    """An order and what came of it.

    order: for people; id: of the execution, empty when the order was not taken (`refused` says why)
    document: of the execution, in the shape of StackStorm's API; ack, said: to chat
    """

    order: str
    id: str = ""
    refused: str = ""
    document: dict[str, Any] = field(default_factory=dict)
    ack: str = ""
    said: str = ""
    handle: Any = None


@dataclass(frozen=True)
class Settings:
    """What of a configuration holds no secret, and the secrets, which each engine keeps in its own way."""

    sections: Mapping[str, Any]
    user: str
    password: str
    chat_url: str


class Engine(Protocol):
    """Each order returns when its execution has begun; `end` waits for its end, and for that of its tasks."""

    name: str

    def configure(self, settings: Settings) -> None:
        """From the next order on."""

    def heal(self, parameters: Mapping[str, Any]) -> Run:
        """A heal that a person starts."""

    def action(self, name: str, parameters: Mapping[str, Any]) -> Run:
        """Another action that a person starts."""

    def trigger(self, name: str, payload: Mapping[str, Any]) -> Run:
        """What the rule on a trigger starts."""

    def chat(self, text: str) -> Run:
        """A command in chat, without the `!`."""

    def end(self, run: Run, seconds: float) -> None:
        """Fill in `document` and `said`."""

    def tasks(self, run: Run) -> list[dict[str, Any]]:
        """The executions of a workflow's tasks in their order; each has `task`, its name."""

    def cancel(self, run: Run) -> None:
        """As somebody else does it, not by the command's Ctrl-C."""

    def documents(self) -> dict[str, dict[str, Any]]:
        """What the pack has in its datastore, by key."""


def processes(executions: set[str]) -> dict[int, int]:
    """The processes of these executions: pid to parent's pid."""
    marks = {f"ST2_ACTION_EXECUTION_ID={execution}".encode() for execution in executions}
    found: dict[int, int] = {}
    for directory in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if marks & set(directory.joinpath("environ").read_bytes().split(b"\0")):
                stat = directory.joinpath("stat").read_text().rpartition(")")[2].split()
                if stat[0] != "Z":
                    found[int(directory.name)] = int(stat[1])
    return found


def signal_action(execution: str, number: signal.Signals) -> bool:
    """Signal the action's own process (in StackStorm the wrapper), not its children; whether there is one."""
    family = processes({execution})
    own = [pid for pid, parent in family.items() if parent not in family]
    for pid in own:
        os.kill(pid, number)
    return bool(own)
