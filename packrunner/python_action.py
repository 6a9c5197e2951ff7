"""Runs a python action the way StackStorm's python runner does, and shapes its result the same."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packrunner import launcher, model, statuses
from packrunner.action_process import INVALID_STATUS
from packrunner.errors import ResultError
from packrunner.processes import Identity


@dataclass(frozen=True)
class Surroundings:
    """What every action gets: the executions API's ``api_url`` and ``token``, and ``python`` to run with."""

    python: str
    config: Mapping[str, Any]
    api_url: str
    token: str


@dataclass(frozen=True)
class Deed:
    """One action about to run; ``config`` is resolved, ``runner_parameters`` are timeout, env, log_level."""

    action: model.Action
    execution: str
    user: str
    runner_parameters: Mapping[str, Any]
    parameters: Mapping[str, Any]
    config: Any
    database: Path
    actions_directory: Path


def run(
    deed: Deed, surroundings: Surroundings, started: Callable[[Identity], None]
) -> tuple[str, dict[str, Any]]:
    """Run it to its end or its timeout; returns status and result document.

    :param started: is called with the identity of the action's process
    :raises OSError: the process cannot be started
    :raises ResultError: ``run`` returned a pair whose first item is no bool
    """
    request = {
        "file": str(deed.action.entry_point),
        "pack": deed.action.pack,
        "parameters": deed.parameters,
        "config": deed.config,
        "user": deed.user,
        "log_level": deed.runner_parameters["log_level"],
        "database": str(deed.database),
    }
    timeout = deed.runner_parameters["timeout"]
    environment = _environment(deed, surroundings)
    return shape(launcher.run_python(surroundings.python, request, environment, timeout, started), timeout)


def _environment(deed: Deed, surroundings: Surroundings) -> dict[str, str]:
    """As StackStorm's: ``actions/lib`` is on the path, the parameter ``env`` may not set PYTHONPATH."""
    extra = deed.runner_parameters.get("env") or {}
    actions = deed.actions_directory
    return {
        **launcher.base_environment(),
        **{name: str(value) for name, value in extra.items() if name.lower() != "pythonpath"},
        "PYTHONPATH": launcher.python_path(actions / "lib"),
        "ST2_ACTION_PACK_NAME": deed.action.pack,
        "ST2_ACTION_EXECUTION_ID": deed.execution,
        "ST2_ACTION_API_URL": surroundings.api_url,
        "ST2_ACTION_AUTH_TOKEN": surroundings.token,
        "ST2_ACTION_DEBUG": "False",
        "ST2_API_URL": surroundings.api_url,
        "ST2_AUTH_TOKEN": surroundings.token,
    }


def shape(outcome: launcher.Outcome, timeout: float) -> tuple[str, dict[str, Any]]:
    """Status and result document of a python action, in StackStorm's shape.

    :raises ResultError: ``run`` returned a pair whose first item is no bool
    """
    if outcome.exit_code == INVALID_STATUS:
        raise ResultError(outcome.stderr)
    answer = outcome.answer or {}
    result: dict[str, Any] = {
        "stdout": outcome.stdout,
        "stderr": outcome.stderr,
        "exit_code": outcome.exit_code,
        # The word, not null: StackStorm's own sign for "no result arrived".
        "result": answer.get("result") if outcome.answer else "None",
    }
    # StackStorm takes whatever ended by SIGKILL for timed out, since that is how it ends an action itself.
    if outcome.exit_code == -signal.SIGKILL:
        result["error"] = f"Action failed to complete in {timeout} seconds"
        return statuses.TIMEOUT, result
    failed = outcome.exit_code != 0 or answer.get("status") is False
    return (statuses.FAILED if failed else statuses.SUCCEEDED), result
