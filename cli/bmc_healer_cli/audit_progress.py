"""How far an audit is: a bar on a terminal, else a line now and then."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TimeElapsedColumn,
)
from rich.table import Column
from rich.text import Text

from bmc_healer.audit import HostAudit

LINE_SECONDS = 5.0  # between two lines where there is no terminal
_NAMED = 3  # hosts that the bar names
_BAR_WIDTH = 44  # columns of spinner, bar, count and clock, up to 10,000 hosts

Told = Callable[[HostAudit], None]


@contextmanager
def progress(
    console: Console,
    count: int,
    waiting: Callable[[], Sequence[str]],
    *,
    quiet: bool = False,
    clock: Callable[[], float] = time.time,
) -> Iterator[Told]:
    """What it yields wants to hear of each result.

    :param waiting: names of the hosts that are being looked at right now
    """
    if quiet:
        yield lambda result: None
    elif console.is_terminal:
        plain = not console.encoding.lower().startswith("utf")
        with Progress(
            SpinnerColumn("line" if plain else "dots"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            _Waiting(waiting, console.width - _BAR_WIDTH),
            console=console,
            transient=True,
        ) as bar:
            task = bar.add_task("", total=count)
            yield lambda result: bar.advance(task)
    else:
        yield _Lines(console, count, clock).told


class _Waiting(ProgressColumn):
    """Whom it waits for, on one line."""

    def __init__(self, waiting: Callable[[], Sequence[str]], room: int) -> None:
        super().__init__(Column(no_wrap=True))
        self._waiting = waiting
        self._room = room

    def render(self, task: Task) -> Text:
        names = self._waiting()
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        text = Text(f"{', '.join(names[:_NAMED])}{more}", style="dim")
        text.truncate(max(self._room, 0), overflow="ellipsis")  # rich would rather give up the bar
        return text


class _Lines:
    def __init__(self, console: Console, count: int, clock: Callable[[], float]) -> None:
        self._console = console
        self._count = count
        self._clock = clock
        self._last = clock()
        self._done = self._missing = 0

    def told(self, result: HostAudit) -> None:
        """A line, unless there was one a moment ago."""
        self._done += 1
        self._missing += bool(result.missing)
        now = self._clock()
        if now - self._last < LINE_SECONDS:
            return
        self._last = now
        stamp = datetime.fromtimestamp(now, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        text = f"{stamp} {self._done} of {self._count} hosts looked at, {self._missing} lack something"
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)
