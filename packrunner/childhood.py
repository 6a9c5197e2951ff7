"""What the processes of actions and sensors have in common at their start."""

from __future__ import annotations

import importlib.util
import inspect
import io
import json
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

_STANDINS = Path(__file__).parent / "standins"


class Unbreakable(io.TextIOWrapper):
    """A text stream whose reader may vanish: a print must not stop a deed because the engine was killed."""

    def write(self, text: str, /) -> int:
        """Write, or let it fall."""
        try:
            return super().write(text)
        except BrokenPipeError:
            return len(text)

    def flush(self) -> None:
        """Flush, or let it fall."""
        try:
            super().flush()
        except BrokenPipeError:
            return


def settle() -> dict[str, Any]:
    """Read the request from stdin, close stdin, and make the streams fit for a long life.

    ``python -m`` puts the current directory in front of the path: it is taken away.
    """
    del sys.path[0]
    request: dict[str, Any] = json.loads(sys.stdin.buffer.read())
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    for name, fd in (("stdout", 1), ("stderr", 2)):
        raw = os.fdopen(os.dup(fd), "wb", buffering=0)
        setattr(sys, name, Unbreakable(raw, encoding="utf-8", errors="backslashreplace", write_through=True))
    # The pipe to the engine must not be inherited by what the action starts.
    os.set_inheritable(request["fd"], False)
    return request


def provide_standins() -> None:
    """Put the stand-ins on the path when StackStorm's own packages are not installed."""
    if importlib.util.find_spec("st2common") is None:
        sys.path.append(str(_STANDINS))


def load_module(file: Path) -> ModuleType:
    """Import a file as StackStorm does: its directory last on the path, no entry in ``sys.modules``."""
    directory = str(file.resolve().parent)
    if directory not in sys.path:
        sys.path.append(directory)
    spec = importlib.util.spec_from_file_location(file.stem, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is no python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def classes_in(module: ModuleType) -> list[type]:
    """The classes that the module itself defines, by name."""
    return [
        kind for _, kind in inspect.getmembers(module, inspect.isclass) if kind.__module__ == module.__name__
    ]
