"""Progress on a terminal: ended steps, and below them what runs now with spinner, clock and kipmi CPU."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime
from types import TracebackType

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from bmc_healer_cli.progress import BAD, GOOD, NEUTRAL, Progress, Step, note
from packrunner.events import Event

_MARKS = {
    GOOD: ("\N{CHECK MARK}", "+", "green"),
    BAD: ("\N{BALLOT X}", "x", "red"),
    NEUTRAL: ("-", "-", "dim"),
}
_HIGH_KIPMI = 50.0  # percent from which it is shown in red


class LiveView:
    """Renders itself inside a `rich.live.Live`; events arrive from other threads than the one that draws."""

    def __init__(self, console: Console, clock: Callable[[], float], named: bool, waiting: str) -> None:
        self._console = console
        self._clock = clock
        self._named = named
        self._waiting = waiting
        self._began = clock()
        self._progress = Progress()
        self._lock = threading.Lock()
        self._ascii = not console.encoding.lower().startswith("utf")
        self._spinner = Spinner("line" if self._ascii else "dots")
        self._live = Live(self, console=console, refresh_per_second=8, transient=True)

    def __enter__(self) -> LiveView:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.__exit__(kind, error, trace)

    def on_event(self, event: Event) -> None:
        """The end of a step becomes a line above the live part."""
        with self._lock:
            ended = self._progress.take(event)
        if self._named and (told := note(event)):
            self._console.print(_row(Text(" "), _time(event.at), Text(told)))
        if ended is not None:
            self._console.print(self._ended(ended, event.at))

    def say(self, text: str) -> None:
        """A line of our own above the live part."""
        self._console.print(Text(text))

    def _ended(self, step: Step, at: float) -> RenderableType:
        good, plain, style = _MARKS[step.mark]
        text = self._name(step)
        text.append(f"  {step.sentence}" if step.sentence else "")
        space = " " if self._ascii else "\N{NO-BREAK SPACE}"
        text.append(f"  ({step.seconds:.1f}{space}s)", style="dim")
        return _row(Text(plain if self._ascii else good, style=style), _time(at), text)

    def _name(self, step: Step) -> Text:
        host = f"{step.host}  " if self._named and step.host else ""
        return Text.assemble((host, "dim"), (step.label, "bold"))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        with self._lock:
            running = list(self._progress.running.values())
            kipmi = dict(self._progress.kipmi)
        if running:
            yield Group(*(self._running(step, kipmi.get(step.root)) for step in running))
        else:
            yield _row(self._spinner, self._since(self._began), Text(self._waiting, style="dim"))

    def _running(self, step: Step, kipmi: float | None) -> RenderableType:
        text = self._name(step)
        if kipmi is not None:
            text.append(f"  kipmi {kipmi:.0f} %", style="red" if kipmi >= _HIGH_KIPMI else "dim")
        return _row(self._spinner, self._since(step.started), text)

    def _since(self, began: float) -> Text:
        seconds = max(0, int(self._clock() - began))
        return Text(f"{seconds // 60}:{seconds % 60:02d}", style="bold cyan")


def _time(at: float) -> Text:
    return Text(datetime.fromtimestamp(at).astimezone().strftime("%H:%M:%S"), style="dim")


def _row(mark: RenderableType, time: Text, text: Text) -> Table:
    """Three columns; a long text wraps below itself."""
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(width=1)
    grid.add_column(width=8, justify="right")
    grid.add_column(overflow="fold")
    grid.add_row(mark, time, text)
    return grid
