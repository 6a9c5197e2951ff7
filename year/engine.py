"""The engine's place: walks the ladder as the workflow does, knows its executions, and can be killed."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bmc_healer.errors import HealerError
from bmc_healer.executions import ExecutionInfo
from bmc_healer.ladder import FINISH, GATE_TASKS
from bmc_healer.verbs.begin_heal import begin_heal
from bmc_healer.verbs.diagnose import diagnose
from bmc_healer.verbs.end_heal import end_heal
from bmc_healer.verbs.host_rungs import (
    load_ipmi,
    reap_ipmitool,
    reset_bmc_inband,
    throttle_kipmid,
    unload_ipmi,
)
from bmc_healer.verbs.reset_bmc_oob import reset_bmc_oob
from bmc_healer.verbs.runtime import Runtime
from bmc_healer.verbs.tidy import tidy
from bmc_healer.verbs.verify import verify
from year.loop import Loop, Process

Verb = Callable[[Runtime, Mapping[str, Any]], dict[str, Any]]
TASKS: dict[str, Verb] = {
    "diagnose": diagnose,
    "reap_clients": reap_ipmitool,
    "reset_in_band": reset_bmc_inband,
    "unload_driver": unload_ipmi,
    "throttle_kipmi": throttle_kipmid,
    "reset_out_of_band": reset_bmc_oob,
    "load_driver": load_ipmi,
}
RECENT = 5  # incidents of a host among which those are that a tidy ends
START_SECONDS = 1.0  # an action's process


@dataclass
class Run:
    """One execution of the workflow."""

    info: ExecutionInfo
    process: Process | None = None


class Engine:
    """`Executions`, and who starts heals.

    :param runtime: makes what an action is given
    :param ended: hears how each heal ended: host, what begin_heal or end_heal answered
    :param killed: share of the heals whose process is killed half-way
    """

    def __init__(
        self,
        loop: Loop,
        rng: random.Random,
        runtime: Callable[[], Runtime],
        ended: Callable[[str, str, Mapping[str, Any]], None],
        killed: float,
    ) -> None:
        self._loop, self._rng, self._runtime = loop, rng, runtime
        self._ended, self._killed = ended, killed
        self._runs: dict[str, Run] = {}
        self._ids = itertools.count(1)
        self.kills = 0
        self.acting: dict[Process, tuple[str, str]] = {}  # process -> host and execution

    # Executions

    def get(self, execution: str) -> ExecutionInfo | None:
        """As the engine calls it, whatever lives."""
        run = self._runs.get(execution)
        return run.info if run else None

    def cancel(self, execution: str) -> None:
        """Only the engine's word: a process that lives goes on."""
        self._status(execution, "canceled")

    def children(self, execution: str) -> tuple[ExecutionInfo, ...]:
        """Tasks are not kept."""
        return ()

    def busy(self, action: str) -> tuple[ExecutionInfo, ...]:
        """Those of the workflow that run."""
        if action != "bmc_healer.heal":
            return ()
        return tuple(run.info for run in self._runs.values() if not run.info.ended)

    def server_time(self) -> float:
        """One clock for all."""
        return self._loop.now

    # Heals

    def heal(self, host: str, **parameters: Any) -> None:
        """Start the workflow."""
        name = f"e{next(self._ids)}"
        info = ExecutionInfo(name, "running", "bmc_healer.heal", host=host, since=self._loop.now)
        run = self._runs[name] = Run(info)
        process = run.process = self._loop.spawn(lambda: self._heal(name, {"host": host, **parameters}))
        self.acting[process] = (host, name)
        if self._rng.random() < self._killed:
            self._loop.after(self._rng.expovariate(1 / 150), lambda: self._kill(process))

    def tidy(self, host: str) -> None:
        """What the rule on heal.overdue starts."""
        self._loop.spawn(lambda: self._tidy(host))

    def _kill(self, process: Process) -> None:
        if not process.ended:
            process.killed = True
            self.kills += 1

    def _tidy(self, host: str) -> None:
        self._loop.sleep(START_SECONDS)
        rt = self._runtime()
        try:
            died = [one["id"] for one in rt.state.incidents(RECENT, host) if not one["outcome"]]
            tidy(rt, {"host": host})
            ended = [rt.state.incident(one) for one in died]
        except HealerError:
            return
        for incident in ended:
            if incident is not None and incident["outcome"]:
                self._ended(host, "ended", incident)

    def _heal(self, name: str, parameters: dict[str, Any]) -> None:
        self._loop.sleep(START_SECONDS)
        rt = self._runtime()
        try:
            told = begin_heal(rt, {**parameters, "execution": name})
        except HealerError as error:
            told = {"next": "tell_end", "outcome": "refused", "sentence": error.sentence, "rule": "error"}
        if told["next"] == "diagnose":
            self._ended(parameters["host"], "begun", told)
            self._walk(rt, parameters["host"], str(told["incident"]))
        else:
            self._ended(parameters["host"], str(told["next"]), told)
        process = self._runs.pop(name).process
        if process is not None:
            del self.acting[process]

    def _walk(self, rt: Runtime, host: str, incident: str) -> None:
        task, given = "diagnose", {"host": host, "incident": incident}
        while task != FINISH:
            self._loop.sleep(START_SECONDS)
            gate = task in GATE_TASKS.values()
            try:
                answer = verify(rt, {**given, "gate": task}) if gate else TASKS[task](rt, given)
            except HealerError:
                break  # the workflow goes to its end when a task fails
            task = str(answer["next"])
        self._loop.sleep(START_SECONDS)
        try:
            self._ended(host, "ended", end_heal(rt, given))
        except HealerError:
            return  # tidy finds it

    def _status(self, name: str, status: str) -> None:
        run = self._runs.get(name)
        if run is not None:
            run.info = ExecutionInfo(name, status, run.info.action, host=run.info.host, since=self._loop.now)
