"""The four options that every command has, before or after its name."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

Config = Annotated[Path | None, typer.Option("--config", help="Configuration file.", show_default=False)]
State = Annotated[Path | None, typer.Option("--state-dir", help="Where locks and incidents are kept.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks and the log.")]


@dataclass(frozen=True)
class Options:
    """What was asked for; None: the default place."""

    config: Path | None = None
    state_dir: Path | None = None
    json: bool = False
    debug: bool = False

    def under(self, later: Options) -> Options:
        """`later` (given after the command's name) wins over these (given before it)."""
        return Options(
            later.config or self.config,
            later.state_dir or self.state_dir,
            later.json or self.json,
            later.debug or self.debug,
        )


def with_options(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command `function(options, ...)` the four options; Typer reads them off the signature."""

    @wraps(function)
    def command(context: typer.Context, **given: Any) -> None:
        own = Options(*(given.pop(name) for name in ("config", "state_dir", "json", "debug")))
        before = context.obj if isinstance(context.obj, Options) else Options()
        function(before.under(own), **given)

    hints = get_type_hints(function, include_extras=True)
    parameters = list(inspect.signature(function).parameters.values())[1:]
    own = {
        "config": (Config, None),
        "state_dir": (State, None),
        "json": (Json, False),
        "debug": (Debug, False),
    }
    keyword = inspect.Parameter.KEYWORD_ONLY
    signature = [
        inspect.Parameter("context", keyword, annotation=typer.Context),
        *(p.replace(kind=keyword, annotation=hints[p.name]) for p in parameters),
        *(
            inspect.Parameter(n, keyword, annotation=kind, default=default)
            for n, (kind, default) in own.items()
        ),
    ]
    command.__signature__ = inspect.Signature(signature)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in signature}
    return command
