"""Run one action of the pack for a person: progress, Ctrl-C, the result, the exit status."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import typer

from bmc_healer_cli import engine, exits, show
from bmc_healer_cli.clean import clean
from bmc_healer_cli.options import Options
from bmc_healer_cli.output import Output
from bmc_healer_cli.progress import answer
from bmc_healer_cli.view import View, view
from packrunner.execution import Execution
from packrunner.runner import PackRunner

T = TypeVar("T")

CANCELLING = (
    "Cancelling. The step that runs now goes on to its natural end, since a command that was sent cannot be "
    "taken back; no further step starts. Ctrl-C again leaves without waiting for it."
)
CANCELLED = (
    "Cancelled. If a heal had taken the lock of its host, the lock stays until that heal has been silent for "
    "two minutes and `tidy` has seen that nothing of it is left; `bmc-healer run` does that by itself."
)
LEFT = "Left. The step that was running goes on by itself; see `bmc-healer status`."


def perform(options: Options, action: str, parameters: Mapping[str, Any]) -> None:
    """Run it to its end and leave with its exit status.

    :raises HealerError: it could not be begun
    :raises typer.Exit: always at the end, with the status of `exits`
    """
    console = Output()
    about = parameters.get("host") or parameters.get("label") or parameters.get("target") or ""
    shown = view(console, clean(f"{action} {about}"), quiet=options.json)
    with engine.runner(options, shown.on_event) as running, shown:
        begun = running.run_action(f"{engine.PACK}.{action}", parameters, user=engine.user(), wait=False)
        execution = until_done(running, shown, options, lambda: running.wait(begun.id))
    if options.json:
        show.json_document(document(execution))
    else:
        show.result(console, document(execution))
    raise typer.Exit(exit_status(execution))


def until_done(running: PackRunner, shown: View, options: Options, wait: Callable[[], T]) -> T:
    """`wait()`, which Ctrl-C turns into a cancellation of everything that this process began.

    :raises typer.Exit: after a cancellation
    """
    try:
        return wait()
    except KeyboardInterrupt:
        said = CANCELLED
    try:
        for execution in running.executions.open_here():
            if not execution.parent:
                running.executions.cancel(execution.id, engine.user())
        shown.say(CANCELLING)
        running.drain()
    except KeyboardInterrupt:
        said = LEFT
    shown.say(said)
    if options.json:
        show.json_document({"sentence": said, "status": "canceled"})
    raise typer.Exit(exits.INTERRUPTED)


def document(execution: Execution) -> dict[str, Any]:
    """What an execution came to, as one flat document: its result, id and status."""
    result = answer(execution.result) or {"sentence": _without_result(execution)}
    return {**result, "execution": execution.id, "status": execution.status}


def exit_status(execution: Execution) -> int:
    """See `exits`."""
    return exits.of_result(execution.succeeded, answer(execution.result))


def _without_result(execution: Execution) -> str:
    """A runner's own failure, or a cancellation by somebody else: the action never came to a result."""
    inner = execution.result if isinstance(execution.result, Mapping) else {}
    why = str(inner.get("error") or inner.get("errors") or inner.get("stderr") or "no reason was given")
    return f"{execution.action} ended as {execution.status}: {why.strip().splitlines()[-1]}"
