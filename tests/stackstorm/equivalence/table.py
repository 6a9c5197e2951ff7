"""The table of scenarios: `scenarios/*.yaml` as checked data.

A scenario is a list of acts, done to each engine in turn. Orders, each with its end:

- `heal: PARAMETERS`, `action: NAME` + `with: PARAMETERS`, `chat: TEXT`, `trigger: NAME` + `payload: {...}`
- `during: TASK` + `do: [...]` beside an order: acts while that task is at work (`once: MOMENT`: not before).
  `cancel` (the run), `kill` and `stop` (the task's process: SIGKILL, SIGSTOP) are such acts
- `together: [ORDER, ...]`: started at once
- `tidy: freed` or `told`: heal.overdue, as its sensor repeats it, until the lock is free or the outbox empty

Whatever a row does not say (sentences, gates, keys of the datastore, ...) must only be the same in both.

The world outside: `bmc: SWITCH` or `{SWITCH: VALUE}` of the lab, `endpoint: up` or `down` (chat's),
`hang: CLIENTS` (the guest's BMC, with so many clients waiting).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

FILES = Path(__file__).with_name("scenarios")

ORDERS = {"heal": set(), "action": {"with"}, "chat": set(), "trigger": {"payload"}}
WORLD = {"bmc", "endpoint", "hang", "tidy", "together"}
MEANWHILE = {"during", "once", "do"}
TO_THE_RUN = {"cancel", "kill", "stop"}


@dataclass(frozen=True)
class Scenario:
    """One row.

    host: one that is known by its BMC `alone` and trusted, this machine (`local`), one that refuses SSH
        (`unreachable`), or the lab's `guest`
    config: sections of the configuration that differ; password: of the BMC, where it is not the right one
    ends: outcome of each heal, status of everything else, `nothing` where an order was not taken
    resets: commands that reached the BMC; titles: heard by chat
    left: what stays behind, see `record.LEFTOVERS`
    in_any_order: of runs and messages, where two happen at the same instant
    """

    name: str
    do: list[Any]
    ends: list[str]
    titles: list[str] = field(default_factory=list)
    resets: int = 0
    left: list[str] = field(default_factory=list)
    host: Literal["alone", "local", "unreachable", "guest"] = "alone"
    config: Mapping[str, Any] = field(default_factory=dict)
    password: str = ""
    in_any_order: bool = False

    @property
    def id(self) -> str:
        """For pytest."""
        return self.name.replace(" ", "_").replace(",", "")


def scenarios(*hosts: str) -> list[Scenario]:
    """Those of the table with such hosts.

    :raises ValueError: an act is none
    """
    files = sorted(FILES.glob("*.yaml"))
    table = [Scenario(**row) for file in files for row in yaml.safe_load(file.read_text())]
    for scenario in table:
        for act in scenario.do:
            _check(act, scenario.name)
    return [scenario for scenario in table if scenario.host in hosts]


def _check(act: Any, where: str) -> None:
    words = {act} if isinstance(act, str) else set(act)
    order = words & set(ORDERS)
    if order:
        (name,) = order
        fits = words - {name} <= ORDERS[name] | MEANWHILE and ("during" in words) == ("do" in words)
    else:
        fits = words <= TO_THE_RUN if isinstance(act, str) else len(words) == 1 and words <= WORLD
    if not fits:
        raise ValueError(f"{where}: {act!r} is no act")
    inner = [] if isinstance(act, str) else [*act.get("do", []), *act.get("together", [])]
    for each in inner:
        _check(each, where)
