"""What a scenario came to on one engine, without what may differ: times, ids, and who the engine is."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from typing import Any

from tests.guest.chat import Chat
from tests.stackstorm.api import until
from tests.stackstorm.equivalence.engine import Engine, Run, processes
from tests.stackstorm.equivalence.table import Scenario
from tests.stackstorm.product import PACK

GONE_SECONDS = 30.0
# What may stay behind, by the prefix of its key; everything else is compared, not judged.
LEFTOVERS = {"lock": "f:lock:", "candidate": "f:candidate:", "pause": "f:pause:", "outbox": "o:"}
LATCH = ":latch:"
OF_INCIDENT = (
    *("host", "key", "reason", "approves", "mode", "plan_only", "dry_run", "force", "rungs", "plan"),
    *("left_out", "diagnosis", "outcome", "healed_by", "sentence", "repair", "next"),
)
OF_STEP = ("step", "rung", "ok", "verdict", "sentence", "proof", "warnings")
OF_RESULT = ("verdict", "next", "ok", "outcome", "sentence", "title", "text", "delivered", "waiting", "freed")

DIFFERS = (
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC"), "<time>"),
    (re.compile(r"\b[0-9a-f]{24}\b"), "<execution>"),
    (re.compile(r"\b\d+(\.\d+)?(?= (s|%)(\W|$))"), "<n>"),
    (re.compile(r"\(pid \d+"), "(pid <n>"),
    (re.compile(r"\d+ of \d+ hung IPMI clients"), "<n> of <n> hung IPMI clients"),  # one leaves every 55 s
    (re.compile(r" \([\w.-]+:\d+\)"), " (<owner>)"),
    (re.compile(r"(?<= by )[\w.-]+:\d+(?= \(lock: )"), "<owner>"),
    # What was measured on a host at that moment
    (re.compile(r"(?<=In-band IPMI hangs) \([^)]*\)"), ""),
    (re.compile(r"\nSymptoms: [^\n]*"), ""),
    # jsonschema's own words; packrunner and StackStorm do not use the same release
    (re.compile(r"(?s).*(Failed validating|is not allowed for).*"), "<does not fit the schema>"),
)
IN_KEYS = re.compile(r"(?<=[:-])[0-9a-f]{8,}(?=:)")


def record(
    scenario: Scenario, engine: Engine, runs: Sequence[Run], status: Any, chat: Chat
) -> dict[str, Any]:
    """Everything that must be the same, as plain data.

    :param status: of the simulated BMC
    """
    documents = _living(engine.documents())
    incidents = sorted((d for d in documents.values() if "started_at" in d), key=lambda d: d["started_at"])
    words = _Words([incident["id"] for incident in incidents])
    seen = {
        "runs": [_run(engine, run) for run in runs],
        "bmc": {"resets": [one.channel for one in status.received], "logins": status.logins},
        "chat": [{"title": title, "text": text} for title, text in chat.heard],
        "incidents": [_incident(incident) for incident in incidents],
        "left": _left(documents),
        "keys": sorted(IN_KEYS.sub("<token>", key) for key in documents),
        "fences": {key: document["number"] for key, document in documents.items() if key.endswith(":fence:")},
        "processes": _processes(engine, runs),
    }
    plain: dict[str, Any] = words.plain(seen)
    if scenario.in_any_order:
        plain["runs"].sort(key=str)
        plain["incidents"].sort(key=str)
        plain["chat"].sort(key=str)
    return plain


def ending(run: Mapping[str, Any]) -> str:
    """The word of the table for a run's end: outcome of a heal, else the execution's status."""
    if not run["taken"]:
        return "nothing"
    outcome = (run.get("output") or {}).get("outcome")
    return str(outcome if outcome and run["status"] != "canceled" else run["status"])


class _Words:
    """Replaces what differs from run to run; incidents get numbers in the order of their beginning."""

    def __init__(self, incidents: Sequence[str]) -> None:
        self._names = {incident: f"<incident {n}>" for n, incident in enumerate(incidents, 1)}

    def plain(self, value: Any) -> Any:
        """`value` with every text in it made comparable."""
        if isinstance(value, str):
            for incident, name in self._names.items():
                value = value.replace(incident, name)
            for pattern, word in DIFFERS:
                value = pattern.sub(word, value)
            return value
        if isinstance(value, dict):
            return {self.plain(key): self.plain(member) for key, member in value.items()}
        return [self.plain(member) for member in value] if isinstance(value, list) else value


def _run(engine: Engine, run: Run) -> dict[str, Any]:
    told: dict[str, Any]
    if not run.id:
        told = {"order": run.order, "taken": False}
        return {**told, "refused": run.refused} if run.order == "chat" else told  # people read only chat's
    told = {"order": run.order, "taken": True, "status": run.document["status"]}
    told |= {"ack": run.ack, "said": run.said} if run.order == "chat" else {}
    result = run.document.get("result") or {}
    if "output" in result:  # a workflow
        output = result["output"] or {}
        steps = [{key: step[key] for key in OF_STEP if key in step} for step in output.get("steps") or []]
        told["output"] = {**output, "steps": steps}
        told["errors"] = [error.get("message") for error in result.get("errors") or []]
        told["tasks"] = [{"task": task["task"], **_action(task)} for task in engine.tasks(run)]
        return told
    return {**told, **_action(run.document)}


def _action(document: Mapping[str, Any]) -> dict[str, Any]:
    """Of a Python action."""
    outer = document.get("result") or {}
    result = outer.get("result")
    told: dict[str, Any] = {"status": document["status"], "exit_code": outer.get("exit_code")}
    told |= {"error": outer["error"]} if "error" in outer else {}
    if not isinstance(result, dict):
        return {**told, "result": result}
    return {**told, **{key: result[key] for key in OF_RESULT if key in result}}


def _incident(document: Mapping[str, Any]) -> dict[str, Any]:
    steps = [{key: step[key] for key in OF_STEP if key in step} for step in document["steps"]]
    return {**{key: document.get(key) for key in OF_INCIDENT}, "steps": steps}


def _living(documents: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Without the store's own marks, and what has expired: StackStorm's ttl is late."""
    now = time.time()
    return {
        key.removeprefix(f"{PACK}:"): document
        for key, document in documents.items()
        if "~" not in key and ":reserved:" not in key and document.get("expires_at", now + 1) > now
    }


def _left(documents: Mapping[str, Any]) -> list[str]:
    left = {name for name, prefix in LEFTOVERS.items() if any(key.startswith(prefix) for key in documents)}
    return sorted(left | ({"latch"} if any(key.endswith(LATCH) for key in documents) else set()))


def _processes(engine: Engine, runs: Sequence[Run]) -> int:
    """How many processes of these executions stay; they may take a moment to leave."""
    executions = {run.id for run in runs if run.id}
    executions |= {task["id"] for run in runs if run.id for task in engine.tasks(run)}
    until(lambda: not processes(executions), GONE_SECONDS, "the end of every process of the scenario")
    return len(processes(executions))
