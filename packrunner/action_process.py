"""The process of one python action: ``python -m packrunner.action_process``.

The request is JSON on stdin: file, pack, parameters, config, user, log_level, database, fd. The answer is one
JSON line through the pipe ``fd``: {"result": ..., "status": true | false | null}. Its stdout and stderr
are the action's own.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
from pathlib import Path
from typing import Any

from packrunner import childhood, processes
from packrunner.services import ActionService

# StackStorm's exit status for a pair whose first item is no bool.
INVALID_STATUS = 220


def main() -> int:
    """Run the action; the exit status is 0 whenever its ``run`` returned."""
    processes.become_subreaper()
    request = childhood.settle()
    childhood.provide_standins()
    output = _run(request)
    status, result = output if isinstance(output, tuple) and len(output) == 2 else (None, output)
    if status is not None and not isinstance(status, bool):
        sys.stderr.write(f"Status returned from run() must be True or False, got: {status}\n")
        return INVALID_STATUS
    try:
        line = json.dumps({"result": result, "status": status})
    except (TypeError, ValueError):
        line = json.dumps({"result": str(result), "status": status})
    with contextlib.suppress(BrokenPipeError), os.fdopen(request["fd"], "w", encoding="utf-8") as pipe:
        pipe.write(line + "\n")
    return 0


def _run(request: dict[str, Any]) -> Any:
    file = Path(request["file"])
    wanted = [kind for kind in childhood.classes_in(childhood.load_module(file)) if hasattr(kind, "run")]
    if not wanted:
        raise ImportError(f"{file} has no class with a run method")
    service = ActionService(
        Path(request["database"]),
        request["pack"],
        wanted[0].__name__,
        request["log_level"],
        request["user"],
        logging.getLogger(f"actions.python.{wanted[0].__name__}"),
    )
    action: Any = wanted[0](config=request["config"], action_service=service)
    return action.run(**request["parameters"])


if __name__ == "__main__":
    sys.exit(main())
