"""Where progress is shown: nowhere, as plain lines with time stamps, or live on a terminal."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import datetime, timezone
from types import TracebackType
from typing import Protocol, TextIO

from rich.console import Console

from bmc_healer_cli.output import give_up
from bmc_healer_cli.progress import Progress, Step, note
from packrunner.events import Event


class View(Protocol):
    """Where events go; a context manager around the run."""

    def __enter__(self) -> View: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def on_event(self, event: Event) -> None:
        """Called from the runner's threads, one event at a time."""

    def say(self, text: str) -> None:
        """A line of our own in between."""


def view(
    console: Console,
    waiting: str,
    *,
    quiet: bool = False,
    named: bool = False,
    clock: Callable[[], float] = time.time,
) -> View:
    """The view for this console: none when quiet, live on a terminal, else plain lines.

    :param waiting: what a terminal shows while no step runs
    :param named: there may be several hosts and triggers: name the host of every step, tell of triggers too
    """
    if quiet:
        return Quiet()
    if not console.is_terminal:
        return PlainView(console, clock, named)
    from bmc_healer_cli.live import LiveView

    return LiveView(console, clock, named, waiting)


class Quiet:
    """Shows nothing."""

    def __enter__(self) -> Quiet:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def on_event(self, event: Event) -> None:
        """Nothing."""

    def say(self, text: str) -> None:
        """Nothing."""


class JsonLines(Quiet):
    """Every event as one JSON object a line."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def on_event(self, event: Event) -> None:
        """A line."""
        try:
            self._stream.write(json.dumps(event.as_dict(), default=str) + "\n")
            self._stream.flush()
        except BrokenPipeError:
            give_up()


class PlainView:
    """One line with a time stamp for every step that begins or ends."""

    def __init__(self, console: Console, clock: Callable[[], float], named: bool) -> None:
        self._console = console
        self._clock = clock
        self._named = named
        self._progress = Progress()

    def __enter__(self) -> PlainView:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def on_event(self, event: Event) -> None:
        """A line for a step's begin and end."""
        known = set(self._progress.running)
        ended = self._progress.take(event)
        for identity in self._progress.running.keys() - known:
            self._line(event.at, f"{self._name(self._progress.running[identity])} ...")
        if self._named and (told := note(event)):
            self._line(event.at, told)
        if ended is not None:
            took = f"{ended.mark} after {ended.seconds:.1f} s"
            self._line(event.at, f"{self._name(ended)} {took}: {ended.sentence}".rstrip(" :"))

    def say(self, text: str) -> None:
        """A line of our own."""
        self._line(self._clock(), text)

    def _line(self, at: float, text: str) -> None:
        stamp = datetime.fromtimestamp(at, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        self._console.print(f"{stamp} {text.rstrip()}", markup=False, highlight=False, soft_wrap=True)

    def _name(self, step: Step) -> str:
        return f"{step.host} {step.label}" if self._named and step.host else step.label
