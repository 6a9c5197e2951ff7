"""A row of the matrix as `rows/*.yaml` holds it: what is broken, and what must be true afterwards.

A row is played (`story`, the words are in stage.py) or points to a test that proves it (`test`). Members:

id, fault           the case, in the words of the report
guest               {driver, kernel, irq, ...} of `lab.Lab`; default: Debian's own driver
story               what is done, in order: a list of single words with what they take
outcome, healed_by  how the last heal of the story ends
says                a part of its sentence; a list: every one
rungs               the rungs that were tried in all heals of the story, in order; `(reap)`: perhaps
resets              reset commands that reached the BMC, by channel, in order
carried_out         how many of them it carried out (default: all)
told                titles that chat heard, without the host's name; `BMC healed +`: once or more often
heard               parts of chat's texts
host                the host afterwards: a word of HOST_STATES, see `afterwards.py`
everyday            `make test` plays it in the guest, too
played              `make test` plays it on a played host (tests/guest/played)
theme               its file's heading
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parent / "rows"
PLAY = "tests/guest/matrix/test_rows.py::test_row"
OUTCOMES = ("healed", "relieved", "escalated", "refused", "proposed", "not_needed", "")
HOST_STATES = ("well", "relieved", "throttled", "untouched", "rebooted", "any")


@dataclass(frozen=True)
class Row:
    """See the module."""

    id: str
    fault: str
    outcome: str = ""
    healed_by: str = ""
    says: tuple[str, ...] = ()
    rungs: tuple[str, ...] = ()
    resets: tuple[str, ...] = ()
    carried_out: int | None = None
    told: tuple[str, ...] = ()
    heard: tuple[str, ...] = ()
    host: str = "any"
    guest: dict[str, Any] = field(default_factory=dict)
    story: tuple[dict[str, Any], ...] = ()
    test: str = ""
    everyday: bool = False
    played: bool = False
    theme: str = ""

    def __post_init__(self) -> None:
        if bool(self.story) == bool(self.test):
            raise ValueError(f"row {self.id}: either a story or a test")
        if self.outcome not in OUTCOMES or self.host not in HOST_STATES:
            raise ValueError(
                f"row {self.id}: outcome {self.outcome!r} or host {self.host!r} is none there is"
            )

    def walked(self, tried: Sequence[str]) -> bool:
        """Whether these are the row's rungs."""
        wanted = "".join(f"(?:{rung[1:-1]} )?" if rung[0] == "(" else f"{rung} " for rung in self.rungs)
        return re.fullmatch(wanted, "".join(f"{rung} " for rung in tried)) is not None

    def hears(self, titles: Sequence[str]) -> bool:
        """Whether these are what chat should have heard, in any order."""
        often = {one[:-2] for one in self.told if one.endswith(" +")}
        once = sorted(one for one in self.told if not one.endswith(" +"))
        return sorted(one for one in titles if one not in often) == once and often <= set(titles)

    @property
    def proof(self) -> str:
        """The test that proves it, or its prefix where that has parameters."""
        return self.test or f"{PLAY}[{self.id}]"

    @property
    def lab(self) -> dict[str, Any]:
        """What the row's guest is made of, all of it."""
        return {"driver": "stock", **self.guest}


def read(document: dict[str, Any]) -> Row:
    """A row of its YAML."""
    known = {one.name for one in fields(Row)}
    if unknown := set(document) - known:
        raise ValueError(f"row {document.get('id')}: there is no {', '.join(sorted(unknown))}")
    made = dict(document)
    if isinstance(made.get("says"), str):
        made["says"] = [made["says"]]
    for name in ("says", "rungs", "resets", "told", "heard", "story"):
        made[name] = tuple(made.get(name) or ())
    return Row(**made)


def rows() -> list[Row]:
    """All rows, file by file."""
    found = []
    for path in sorted(FOLDER.glob("*.yaml")):
        document = yaml.safe_load(path.read_text())
        found += [read({**one, "theme": document["theme"]}) for one in document["rows"]]
    names = [row.id for row in found]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"rows with one id: {', '.join(sorted(twice))}")
    return found
