"""Exit statuses: what a script may rely on."""

from __future__ import annotations

from typing import Any

DONE = 0
FAILED = 1  # it could not be done: the runner, the datastore or the host failed
USAGE = 2
NOT_DONE = 3
NOT_HEALED = 4
INCOMPLETE = 4  # of `audit`: something is missing
INTERRUPTED = 130  # the shell's own for SIGINT

OUTCOMES = {
    "healed": DONE,
    "not_needed": DONE,
    "refused": NOT_DONE,
    "proposed": NOT_DONE,
    "relieved": NOT_HEALED,
    "escalated": NOT_HEALED,
}
_USAGE_ERRORS = frozenset({"ConfigError", "UnknownHostError"})

HELP = (
    "Exit status: 0 healed, not needed or done; 1 it could not be done; 2 usage or configuration; "
    "3 refused or proposed; 4 relieved or escalated, or an audit found something missing."
)


def of_result(succeeded: bool, result: dict[str, Any]) -> int:
    """The status for an action's or a workflow's result; a heal without an outcome counts as not healed."""
    if "outcome" in result:
        return OUTCOMES.get(str(result["outcome"]), NOT_HEALED)
    if succeeded:
        return DONE
    return USAGE if result.get("error") in _USAGE_ERRORS else FAILED
