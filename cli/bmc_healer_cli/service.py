"""The commands that run the pack as a whole: run, chat, trigger."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from bmc_healer.errors import ConfigError
from bmc_healer_cli import engine, exits, show
from bmc_healer_cli.clean import clean
from bmc_healer_cli.options import Options
from bmc_healer_cli.output import Output
from bmc_healer_cli.perform import LEFT, document, exit_status, until_done
from bmc_healer_cli.view import JsonLines, view

STOPPING = (
    "Stopping: the sensors are stopped. What still runs goes on to its natural end; Ctrl-C again leaves."
)


def run(options: Options) -> None:
    """Watch and heal until stopped: sensors, rules, workflows."""
    shown = JsonLines(sys.stdout) if options.json else view(Output(), "watching", named=True)
    with _only_one(engine.state_dir(options)), engine.runner(options, shown.on_event) as running, shown:
        with contextlib.suppress(KeyboardInterrupt):
            running.serve(threading.Event())
        try:
            if running.executions.open_here():
                shown.say(STOPPING)
                running.drain()
        except KeyboardInterrupt:
            shown.say(LEFT)


def chat(
    options: Options,
    text: Annotated[str, typer.Argument(help="What one would write in chat: 'bmc reset host db01'.")],
) -> None:
    """Run what a chat message asks for, and print what chat would hear."""
    console = Output()
    shown = view(console, clean(text), quiet=options.json)
    with engine.runner(options, shown.on_event) as running, shown:
        said = text.strip().removeprefix("!").strip()
        reply = until_done(
            running, shown, options, lambda: running.chat(said, engine.user(), on_ack=shown.say)
        )
    if options.json:
        show.json_document({"ack": reply.ack, "text": reply.text, **document(reply.execution)})
    else:
        console.print(Text(clean(reply.text)))
    raise typer.Exit(exit_status(reply.execution))


def trigger(
    options: Options,
    ref: Annotated[str, typer.Argument(metavar="REF", help="Trigger type, e.g. kipmi.high_cpu.")],
    payload: Annotated[str, typer.Argument(metavar="JSON", help="Its payload, one JSON object.")],
) -> None:
    """Act as a sensor that saw something, and wait for what the rules start."""
    console = Output()
    shown = view(console, clean(ref), quiet=options.json, named=True)
    full = ref if ref.startswith(f"{engine.PACK}.") else f"{engine.PACK}.{ref}"
    with engine.runner(options, shown.on_event) as running, shown:
        instance = running.inject_trigger(full, _object(payload))
        begun = list(instance.started.values())
        ended = until_done(running, shown, options, lambda: [running.wait(each.id) for each in begun])
    if options.json:
        show.json_document({"trigger": full, "executions": [document(each) for each in ended]})
    else:
        for each in ended:
            show.result(console, document(each))
        if not ended:
            console.print(f"{full}: no rule matches this payload, nothing was started.", soft_wrap=True)
    raise typer.Exit(max((exit_status(each) for each in ended), default=exits.DONE))


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise typer.BadParameter(f"not valid JSON: {error}") from None
    if not isinstance(found, dict):
        raise typer.BadParameter("the payload must be a JSON object")
    return found


@contextlib.contextmanager
def _only_one(state_dir: Path) -> Iterator[None]:
    """Two services with one state would watch and report everything twice."""
    with (state_dir / "run.lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            what = f"`bmc-healer run` is running already (process {file.read().strip() or 'unknown'})"
            raise ConfigError(what, str(state_dir), "Stop it first, or use another --state-dir") from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
