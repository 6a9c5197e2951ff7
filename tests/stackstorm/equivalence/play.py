"""Does a scenario's acts to one engine."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from typing import Any

from tests.guest.chat import Chat
from tests.stackstorm.api import until
from tests.stackstorm.equivalence.engine import Engine, Run, Settings, signal_action
from tests.stackstorm.equivalence.table import Scenario
from tests.stackstorm.product import GUARDRAILS, HOST, LADDER, WATCH

END_SECONDS = 300.0
TASK_SECONDS = 120.0
TIDY_SECONDS = 240.0
REASON = "the table says so"
OBSERVED_AT = "2026-11-21T10:45:12Z"
SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}


class Play:
    """One scenario on one engine.

    :param bmc: the simulated BMC alone, or the lab with a guest
    :param host: the host's part of the configuration
    """

    def __init__(
        self, scenario: Scenario, engine: Engine, bmc: Any, chat: Chat, host: Mapping[str, Any]
    ) -> None:
        self.runs: list[Run] = []
        self._scenario = scenario
        self._engine = engine
        self._bmc = bmc
        self._chat = chat
        self._settings = Settings(
            {**_sections(scenario), "hosts": {HOST: host}},
            bmc.user,
            scenario.password or bmc.password,
            chat.url,
        )

    def go(self) -> None:
        """From a BMC as new to the last act's end."""
        self._engine.configure(self._settings)
        for act in self._scenario.do:
            self._act(act)

    def _act(self, act: Mapping[str, Any]) -> None:
        match act:
            case {"together": orders}:
                for run in [self._order(order) for order in orders]:
                    self._engine.end(run, END_SECONDS)
            case {"tidy": "freed"}:
                self._tidy(lambda run: bool(_result(run.document).get("freed")))
            case {"tidy": "told"}:
                self._tidy(lambda run: not self._left("o:"))
            case {"bmc": str(switch)}:
                getattr(self._bmc.bmc, switch)()
            case {"bmc": switches}:
                for switch, value in switches.items():
                    getattr(self._bmc.bmc, switch)(value)
            case {"endpoint": state}:
                self._chat.status = 500 if state == "down" else 200
            case {"hang": clients}:
                self._hang(clients)
            case _:
                run = self._order(act)
                if "during" in act:
                    self._meanwhile(act, run)
                self._engine.end(run, END_SECONDS)

    def _hang(self, clients: int) -> None:
        """With clients that wait for minutes and are old: the plan of either engine ends some."""
        self._bmc.bmc.hang()
        self._bmc.scenes.pile_up_old(clients)
        until(lambda: _oldest(self._bmc) > WATCH["hung_client_seconds"], TASK_SECONDS, "clients that are old")

    def _order(self, act: Mapping[str, Any]) -> Run:
        match act:
            case {"heal": parameters}:
                run = self._engine.heal({"host": HOST, "reason": REASON, **parameters})
            case {"action": name}:
                run = self._engine.action(name, act["with"])
            case {"trigger": name}:
                run = self._trigger(name, act["payload"])
            case {"chat": text}:
                run = self._engine.chat(text.replace("{incident}", self._latest_incident()))
        self.runs.append(run)
        return run

    def _trigger(self, name: str, payload: Mapping[str, Any]) -> Run:
        about = {} if "label" in payload else {"host": HOST}
        return self._engine.trigger(name, {**about, "observed_at": OBSERVED_AT, **payload})

    def _meanwhile(self, act: Mapping[str, Any], run: Run) -> None:
        """Wait for the moment, then act."""
        execution = self._at_work(run, act["during"])
        if act.get("once") == "reset_received":
            self._bmc.bmc.wait(lambda now: bool(now.received), seconds=TASK_SECONDS, what="the reset")
        elif act.get("once") == "candidate":
            until(lambda: self._left("f:candidate:"), TASK_SECONDS, "the candidate key", interval=0.1)
        for each in act["do"]:
            if each == "cancel":
                self._engine.cancel(run)
            elif isinstance(each, str):
                self._signal(execution, SIGNALS[each])
            else:
                self._act(each)

    @staticmethod
    def _signal(execution: str, number: signal.Signals) -> None:
        """Signal the action's process, which may not have begun yet."""
        until(lambda: signal_action(execution, number), TASK_SECONDS, "the action's process", interval=0.05)

    def _at_work(self, run: Run, task: str) -> str:
        """The execution of the run's task when it runs; `task` may also be the action that was ordered."""
        if run.order == "chat" and task == "status":
            return run.id

        def running() -> str:
            tasks = self._engine.tasks(run)
            return next((t["id"] for t in tasks if t["task"] == task and t["status"] == "running"), "")

        return until(running, TASK_SECONDS, f"the task {task}", interval=0.1)

    def _tidy(self, done: Callable[[Run], bool]) -> None:
        """The sensor repeats its trigger until there is nothing to tell; the last one counts."""
        incident = self._latest_incident()
        payload = {"key": incident, "incident": incident, "execution": "", "owner": "test"}
        payload |= {"taken_at": OBSERVED_AT, "silent_seconds": 61.0}

        def tidied() -> Run | None:
            run = self._trigger("heal.overdue", payload)
            self._engine.end(run, END_SECONDS)
            return run if done(run) else None

        self.runs.append(until(tidied, TIDY_SECONDS, "a tidy that is done", interval=2.0))

    def _left(self, prefix: str) -> list[str]:
        keys = self._engine.documents()
        return [key for key in keys if key.partition(":")[2].startswith(prefix) and "~" not in key]

    def _latest_incident(self) -> str:
        documents = self._engine.documents().values()
        found = [document for document in documents if "started_at" in document]
        return max(found, key=lambda d: d["started_at"])["id"] if found else "none"


def _result(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """A Python action's own result; {} when it has none."""
    result = (document.get("result") or {}).get("result")
    return result if isinstance(result, dict) else {}


def _sections(scenario: Scenario) -> dict[str, Any]:
    marks = {"mode": "auto", "watch": WATCH, "guardrails": GUARDRAILS, "ladder": LADDER}
    changed = scenario.config
    return {
        name: {**value, **changed.get(name, {})} if isinstance(value, dict) else changed.get(name, value)
        for name, value in marks.items()
    }


def _oldest(lab: Any) -> float:
    """Age of the guest's oldest ipmitool, in seconds of its own clock (USER_HZ is 100)."""
    uptime, *stats = lab.guest(
        "cat /proc/uptime; for p in $(pidof ipmitool); do cat /proc/$p/stat; done"
    ).out.splitlines()
    ages = [float(uptime.split()[0]) - int(stat.rpartition(")")[2].split()[19]) / 100 for stat in stats]
    return max(ages, default=0.0)
