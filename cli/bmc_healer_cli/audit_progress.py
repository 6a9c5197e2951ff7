"""How far an audit is: a bar on a terminal, else a line now and then."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from bmc_healer.audit import HostAudit

LINE_SECONDS = 5.0  # between two lines where there is no terminal
_NAMED = 3  # hosts that the bar names

Told = Callable[[HostAudit], None]


@contextmanager
def progress(
    console: Console,
    count: int,
    waiting: Collection[str],
    *,
    quiet: bool = False,
    clock: Callable[[], float] = time.time,
) -> Iterator[Told]:
    """What it yields wants to hear of each result.

    :param waiting: names of the hosts that are being looked at, as they change
    """
    if quiet:
        yield lambda result: None
    elif console.is_terminal:
        with _bar(console) as bar:
            task = bar.add_task("", total=count, waiting=_names(waiting))
            yield lambda result: bar.update(task, advance=1, waiting=_names(waiting))
    else:
        yield _Lines(console, count, clock).told


def _bar(console: Console) -> Progress:
    plain = not console.encoding.lower().startswith("utf")
    return Progress(
        SpinnerColumn("line" if plain else "dots"),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[waiting]}", style="dim", markup=False),
        console=console,
        transient=True,
    )


def _names(waiting: Collection[str]) -> str:
    names = sorted(waiting)
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{more}"


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
