"""Heals without a lock that the engine calls running for ever (SAFETY 10).

A runner that is killed in begin_heal or in the last message leaves one behind, and an engine that is killed
between two tasks. Nothing of it was sent, since a deed needs the lock; but chat waits for its end, and the
policy on begin_heal counts it, so that no later heal of its host would ever begin.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from bmc_healer.config.names import host_name
from bmc_healer.executions import ExecutionInfo, Executions
from bmc_healer.state.documents import Lock
from bmc_healer.state.views import HostState

HEALS = ("bmc_healer.heal", "bmc_healer.heal_request")
BEGIN = "bmc_healer.begin_heal"

# The engine will go on by itself: it has not started the task yet, or a person paused it.
WAITING = frozenset({"requested", "scheduled", "delayed", "pending", "pausing", "paused", "resuming"})


@dataclass(frozen=True)
class LostHeal:
    """Nobody has acted for `run` for `silent_seconds`."""

    run: ExecutionInfo
    host: str
    silent_seconds: float


def lost_heals(
    executions: Executions,
    locks: Iterable[Lock],
    state: Callable[[str], HostState],
    now: float,
    limit: float,
    *,
    only: str | None = None,
) -> tuple[LostHeal, ...]:
    """Heals that no lock names and in which nothing has happened for longer than `limit` seconds.

    :param state: reads that of one host
    :param only: the one host that is asked about
    :raises StateError: the engine cannot be asked
    """
    held = {lock.execution for lock in locks}
    found = []
    for run in (run for action in HEALS for run in executions.busy(action)):
        host = host_name(run.host)
        if run.id in held or host is None or only not in (None, host) or now - run.since <= limit:
            continue
        tasks = executions.children(run.id)
        if any(task.status in WAITING for task in tasks):
            continue
        beats = [beat.at for beat in state(host).heartbeats if beat.incident == run.id]
        silent = now - max([run.since, *(task.since for task in tasks), *beats])
        if silent > limit:
            found.append(LostHeal(run, host, silent))
    return tuple(found)
