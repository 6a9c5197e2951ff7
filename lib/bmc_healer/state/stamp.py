"""Times as people read and type them, always UTC; and how long ago something was."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone


def utc(when: float) -> str:
    """`2026-11-21 10:45:12 UTC`."""
    return datetime.fromtimestamp(when, timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")


def compact(when: float) -> str:
    """`20261121-104512`: sorts by time, fits into an incident's id."""
    return datetime.fromtimestamp(when, timezone.utc).strftime("%Y%m%d-%H%M%S")


class Elapsed:
    """Seconds since it was made or restarted, by two clocks: the more of both, so that one that is set back
    meanwhile hides no delay.

    :param clock: epoch seconds
    :param steady: seconds of a clock that nobody sets
    """

    def __init__(self, clock: Callable[[], float], steady: Callable[[], float]) -> None:
        self._clocks = clock, steady
        self.restart()

    def restart(self) -> None:
        """Begin again."""
        self._began = [clock() for clock in self._clocks]

    def seconds(self) -> float:
        """By now."""
        return max(clock() - began for clock, began in zip(self._clocks, self._began, strict=True))
