"""What runs and what came of it, from the runner's events: data for the live view and for plain lines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bmc_healer import ladder
from bmc_healer_cli.clean import clean
from packrunner import events
from packrunner.events import Event

_RUNGS = {
    "reap": ("reap hung clients", ""),
    "inband": ("in-band cold reset", "in-band reset worked?"),
    "unload": ("unload the driver", "CPU relieved?"),
    "throttle": ("throttle kipmi", "CPU relieved?"),
    "oob": ("out-of-band cold reset", "out-of-band reset worked?"),
    "load": ("load the driver", "healthy again?"),
}
# The workflow's tasks in words for people.
LABELS = {
    "begin_heal": "begin",
    "diagnose": "look and diagnose",
    ladder.FINISH: "conclude",
    "tell_start": "tell chat",
    "tell_end": "tell chat",
    **{ladder.RUNG_TASKS[rung]: f"rung: {deed}" for rung, (deed, _) in _RUNGS.items()},
    **{ladder.GATE_TASKS[rung]: f"gate: {_RUNGS[rung][1]}" for rung in ladder.GATE_TASKS},
}

GOOD, BAD, NEUTRAL = "done", "failed", "skipped"
_VERDICTS = {"failed": BAD, "stuck": BAD, "stop": BAD, "skipped": NEUTRAL}


@dataclass(frozen=True)
class Step:
    """One task of a workflow; `root` is the workflow's execution.

    `seconds` is None while it runs; `mark` is one of the three above.
    """

    task: str
    root: str
    host: str
    started: float
    seconds: float | None = None
    sentence: str = ""
    mark: str = NEUTRAL

    @property
    def label(self) -> str:
        """What it does, in words: `gate: CPU relieved?`."""
        return label(self.task)


def label(task: str) -> str:
    """A task's name in words."""
    return LABELS.get(task, task.replace("_", " "))


class Progress:
    """The state of all executions that run; feed it every event.

    :ivar kipmi: the host's kipmi CPU in percent of one core as last seen, by root execution
    """

    def __init__(self) -> None:
        self.running: dict[str, Step] = {}
        self.kipmi: dict[str, float] = {}
        self._hosts: dict[str, str] = {}

    def take(self, event: Event) -> Step | None:
        """Take an event up.

        :returns: the step that ended with it, or None
        """
        if event.kind == events.EXECUTION_STARTED:
            if event.task:
                host = self._hosts.get(event.root, "")
                self.running[event.execution] = Step(event.task, event.root, host, event.at)
            return None
        if event.kind != events.EXECUTION_ENDED:
            return None
        self.running.pop(event.execution, None)
        result = answer(event.result)
        if result.get("host"):
            self._hosts[event.root] = str(result["host"])
        percent = kipmi_percent(result.get("evidence"))
        if percent is not None:
            self.kipmi[event.root] = percent
        if not event.task:
            self._hosts.pop(event.root, None)
            self.kipmi.pop(event.root, None)
            return None
        seconds = event.seconds or 0.0
        mark = BAD if event.status != "succeeded" else _VERDICTS.get(str(result.get("verdict")), GOOD)
        sentence = clean(result.get("sentence") or (event.status if mark == BAD else ""))
        host = self._hosts.get(event.root, "")
        return Step(event.task, event.root, host, event.at - seconds, seconds, sentence, mark)


def note(event: Event) -> str | None:
    """A sentence for what happened around the executions; None for their steps."""
    detail = event.detail
    payload = detail.get("payload")
    host = payload.get("host") or payload.get("label") or "" if isinstance(payload, Mapping) else ""
    if event.kind == events.EXECUTION_ENDED and not event.task:
        result = answer(event.result)
        about = " ".join(str(result[name]) for name in ("host", "outcome") if result.get(name))
        told = result.get("summary") or result.get("sentence") or event.status
        return clean(f"{event.action} ended{f' ({about})' if about else ''}: {told}")
    sentences = {
        events.STARTED: "The pack runs; Ctrl-C stops it.",
        events.SENSOR_STARTED: f"sensor {detail.get('sensor')} started",
        events.SENSOR_EXITED: f"sensor {detail.get('sensor')} ended with status {detail.get('exit_code')}",
        events.TRIGGER: f"trigger {detail.get('trigger')} {host}",
        events.TRIGGER_DROPPED: f"trigger {detail.get('trigger')} dropped: {detail.get('reason')}",
        events.RULE_MATCHED: f"rule {detail.get('rule')} starts {detail.get('action')}",
        events.RULE_FAILED: f"rule {detail.get('rule')} failed: {detail.get('reason')}",
    }
    told = sentences.get(event.kind)
    return None if told is None else clean(told)


def answer(result: Any) -> dict[str, Any]:
    """What a Python action returned, or a workflow's output; empty when there is nothing of the kind."""
    if not isinstance(result, Mapping):
        return {}
    inner = result.get("output", result.get("result"))
    return dict(inner) if isinstance(inner, Mapping) else {}


def kipmi_percent(evidence: Any) -> float | None:
    """The busiest kipmi thread's CPU in an action's evidence; None when it was not looked at."""
    if not isinstance(evidence, Mapping):
        return None
    if isinstance(percent := evidence.get("kipmi_percent"), int | float):
        return float(percent)
    host = evidence.get("host")
    threads = host.get("kipmi") if isinstance(host, Mapping) else None
    if not isinstance(threads, list):
        return None
    return max((float(thread["cpu_percent"]) for thread in threads), default=0.0)
