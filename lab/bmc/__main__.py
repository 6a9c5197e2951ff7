"""The BMC's process: `python -m lab.bmc`, started by `lab.sim`.

Its settings come as one JSON line on stdin; it answers with one JSON line that names its ports (or says what
is wrong), and ends when stdin closes.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from lab.bmc.commands import Personality
from lab.bmc.daemon import Daemon
from lab.bmc.plan import ResetPlan
from lab.bmc.simulator import User
from lab.errors import LabError


async def run(settings: dict[str, Any], stdin: asyncio.StreamReader) -> None:
    """Serve until stdin closes."""
    daemon = Daemon(
        Path(settings["run_dir"]),
        Path(settings["module"]),
        tuple(User(**user) for user in settings["users"]),
        Personality(**settings["personality"]),
        ResetPlan(**settings["plan"]),
    )
    try:
        ports = await daemon.open()
    except LabError as error:
        print(json.dumps({"error": str(error)}), flush=True)
        return
    print(json.dumps(ports), flush=True)
    await stdin.read()
    await daemon.close()


async def main() -> None:
    """Read the settings, serve."""
    stdin = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stdin), sys.stdin)
    await run(json.loads(await stdin.readline()), stdin)


if __name__ == "__main__":
    asyncio.run(main())
