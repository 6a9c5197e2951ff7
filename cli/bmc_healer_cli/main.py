"""The console script `bmc-healer`: its commands, and the rim where an error becomes one sentence."""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

import typer

from bmc_healer.errors import ConfigError, HealerError, UnknownHostError
from bmc_healer_cli import audit, demo, exits, history, options, output, service, show, verbs
from packrunner.errors import PackRunnerError

app = typer.Typer(
    name="bmc-healer",
    help="Heals servers whose BMC has hung.",
    epilog=exits.HELP,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

COMMANDS: dict[str, Callable[..., None]] = {
    "run": service.run,
    "heal": verbs.heal,
    "diagnose": verbs.diagnose,
    "sweep": verbs.sweep,
    "audit": audit.audit,
    "chat": service.chat,
    "trigger": service.trigger,
    "status": verbs.status,
    "incidents": history.incidents,
    "report": history.report_command,
    "pause": verbs.pause,
    "resume": verbs.resume,
    "demo": demo.demo,
}
for _name, _function in COMMANDS.items():
    app.command(_name)(options.with_options(_function))


@app.callback(invoke_without_command=True)
def _before(
    context: typer.Context,
    config: options.Config = None,
    state_dir: options.State = None,
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    context.obj = options.Options(config, state_dir, json, debug)
    logging.basicConfig(level=logging.DEBUG if debug else logging.ERROR, format="%(levelname)s %(message)s")
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(exits.USAGE)


# ClickException: newer Typers bring a click of their own, older ones use the one that is installed.
_CommandLineError: type[Exception] = typer.BadParameter.__mro__[2]


def run(arguments: Sequence[str]) -> int:
    """Run the command line and return its exit status; errors are one sentence on stderr."""
    try:
        return int(app(list(arguments), prog_name="bmc-healer", standalone_mode=False) or 0)
    except _CommandLineError as error:
        return _complain(arguments, error.format_message(), exits.USAGE)  # type: ignore[attr-defined]
    except (ConfigError, UnknownHostError, history.UnknownIncidentError) as error:
        return _complain(arguments, error.sentence, exits.USAGE)
    except HealerError as error:
        return _complain(arguments, error.sentence, exits.FAILED)
    except PackRunnerError as error:  # the pack, a trigger's payload, a chat text: none of them was usable
        return _complain(arguments, str(error), exits.USAGE)
    except (KeyboardInterrupt, typer.Abort):
        return exits.INTERRUPTED
    except BrokenPipeError:  # `bmc-healer report ID | head`
        output.give_up()
        return exits.DONE
    except Exception as error:
        if "--debug" in arguments:
            raise
        text = f"failed inside ({type(error).__name__}); --debug shows where"
        return _complain(arguments, text, exits.FAILED)


def _complain(arguments: Sequence[str], sentence: str, status: int) -> int:
    if "--debug" in arguments:
        logging.getLogger("bmc_healer").debug("traceback", exc_info=True)
    if "--json" in arguments:
        show.json_document({"sentence": sentence, "error": True})
    sys.stderr.write(f"bmc-healer: {sentence}\n")
    return status


def _interrupt(number: int, frame: object) -> NoReturn:
    raise KeyboardInterrupt


def main() -> None:
    """The console script."""
    signal.signal(signal.SIGTERM, _interrupt)
    sys.exit(run(sys.argv[1:]))
