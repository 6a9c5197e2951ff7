"""`python -m tests.guest.matrix.storm CONFIG STATE`: one runner is given many triggers (stdin) at once."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from bmc_healer_cli import engine
from bmc_healer_cli.options import Options
from bmc_healer_cli.perform import document


def main() -> None:
    """Print how long the triggers took to be taken, and what every execution that they started came to."""
    config, state = (Path(argument) for argument in sys.argv[1:])
    payloads = json.load(sys.stdin)
    with engine.runner(Options(config, state)) as running:
        since = time.monotonic()
        started = [running.inject_trigger("bmc_healer.kipmi.high_cpu", payload) for payload in payloads]
        seconds = time.monotonic() - since
        ended = [running.wait(begun.id) for one in started for begun in one.started.values()]
    print(json.dumps({"seconds": seconds, "ended": [document(one) for one in ended]}, default=str))


if __name__ == "__main__":
    main()
