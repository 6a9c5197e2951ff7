"""What a rung did: the one shape in which every rung answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

State = Literal["done", "failed", "stuck", "skipped", "well"]


@dataclass(frozen=True)
class RungOutcome:
    """The deed's own view; only a gate may call it a success.

    :param state: `done`: the commands ended as hoped; `failed`: they did not; `stuck`: a command of ours
        hangs in D and cannot be killed; `skipped`: there was nothing to do or it must not be done now;
        `well`: found well directly before the deed, nothing was sent
    :param sentence: for a person: what was done and what came of it
    :param evidence: JSON data: exit statuses, seconds, counters; no arguments of other people's processes
    """

    rung: str
    state: State
    sentence: str
    evidence: dict[str, Any] = field(default_factory=dict)


class DeedRefusedError(Exception):
    """Raised by `may_send()` directly before a deed: something changed, the deed must not happen."""

    def __init__(self, sentence: str) -> None:
        self.sentence = sentence
        super().__init__(sentence)
