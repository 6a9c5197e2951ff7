"""The ladder as data: which task follows which verdict. The workflow's transitions repeat it (tested).

A plan is a list of rungs. Each rung is one task; most have a gate behind them. A verdict moves on to the
gate, to the next rung of the plan, to the last gate (`gate_health`) or to the end (`finish_heal`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

RUNG_TASKS = {
    "reap": "reap_clients",
    "inband": "reset_in_band",
    "unload": "unload_driver",
    "throttle": "throttle_kipmi",
    "oob": "reset_out_of_band",
    "load": "load_driver",
}
GATE_TASKS = {
    "inband": "gate_in_band_reset",
    "unload": "gate_unload",
    "throttle": "gate_throttle",
    "oob": "gate_out_of_band_reset",
    "load": "gate_health",
}
HEALTH = "gate_health"
FINISH = "finish_heal"


class Move(str, Enum):
    """Where a verdict leads."""

    GATE = "gate"
    NEXT = "next rung"
    AFTER_RELIEF = "next rung that is not another relief"
    HEALTH = "last gate"
    FINISH = "end"


# (step, verdict) -> move. `stop` is a rung that was refused directly before its deed.
_RUNG_MOVES = {"done": Move.GATE, "failed": Move.GATE, "stuck": Move.GATE, "skipped": Move.NEXT}
MOVES: dict[tuple[str, str], Move] = {
    **{(rung, verdict): move for rung in GATE_TASKS for verdict, move in _RUNG_MOVES.items()},
    **{("reap", verdict): Move.NEXT for verdict in _RUNG_MOVES},
    **{(rung, "stop"): Move.FINISH for rung in RUNG_TASKS},
    # Found well by the look directly before the deed: nothing is sent, the last gate says whether it is true.
    ("inband", "well"): Move.HEALTH,
    ("unload", "well"): Move.AFTER_RELIEF,  # the reset after it looks once more
    ("oob", "well"): Move.NEXT,  # what an unload or a throttle of this heal took away is brought back first
    # A rung that had nothing to do is still followed by the proof that all is well.
    ("load", "skipped"): Move.HEALTH,
    ("gate_in_band_reset", "passed"): Move.HEALTH,
    ("gate_in_band_reset", "failed"): Move.NEXT,
    ("gate_unload", "passed"): Move.AFTER_RELIEF,
    ("gate_unload", "failed"): Move.NEXT,
    ("gate_throttle", "passed"): Move.NEXT,
    ("gate_throttle", "failed"): Move.NEXT,
    ("gate_out_of_band_reset", "passed"): Move.NEXT,
    ("gate_out_of_band_reset", "doubt"): Move.NEXT,
    ("gate_out_of_band_reset", "failed"): Move.FINISH,
    ("gate_health", "passed"): Move.FINISH,
    ("gate_health", "failed"): Move.NEXT,
}


@dataclass(frozen=True)
class Position:
    """The next task, and the index in the plan of the rung it belongs to."""

    task: str
    index: int


def first(plan: Sequence[str]) -> Position:
    """Where a plan begins."""
    return _rung(plan, 0)


def after(step: str, verdict: str, plan: Sequence[str], index: int) -> Position:
    """Where `verdict` of `step` leads; `step` is a rung or a gate's task, `index` its rung in the plan.

    :raises KeyError: for a verdict that the table does not know
    """
    move = MOVES[step, verdict]
    if move is Move.GATE:
        return Position(GATE_TASKS[plan[index]], index)
    if move is Move.HEALTH:
        return Position(HEALTH, index)
    if move is Move.FINISH:
        return Position(FINISH, index)
    following = index + 1
    if move is Move.AFTER_RELIEF and following < len(plan) and plan[following] == "throttle":
        following += 1
    return _rung(plan, following)


def _rung(plan: Sequence[str], index: int) -> Position:
    if index < len(plan):
        return Position(RUNG_TASKS[plan[index]], index)
    return Position(FINISH, index)
