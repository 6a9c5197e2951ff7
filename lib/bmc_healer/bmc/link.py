"""The other end of `child.Child`: how a process that talks to one BMC hears from its parent and dies in time.

Lines of JSON: the request, credentials included, on stdin; events on stdout, the last of which is `done`. The
process ends when stdin is closed, by intent or because the parent died, and at its deadline by the kernel's
alarm.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

GRACE_SECONDS = 1.0  # to log out, when stdin was closed or the deadline is near

Event = dict[str, Any]


class Link:
    """The parent: what it sends and what is told to it."""

    def __init__(self) -> None:
        self._out = os.fdopen(os.dup(1), "w")
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)  # pyghmi prints
        os.dup2(nowhere, 2)
        self.request: Event = json.loads(sys.stdin.readline())
        self.deadline: float = self.request["deadline"] - GRACE_SECONDS  # of time.monotonic()
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        for line in sys.stdin:
            self._lines.put(line.strip())
        self._lines.put("")
        time.sleep(GRACE_SECONDS)
        os._exit(1)

    def told_to_go(self) -> bool:
        """Wait for the parent's decision."""
        return self._lines.get() == "go"

    def say(self, event: str, **fields: Any) -> None:
        """Tell the parent."""
        self._out.write(json.dumps({"event": event, **fields}) + "\n")
        self._out.flush()


def serve(perform: Callable[[Link], Event]) -> None:
    """Serve the one request and end the process."""
    link = Link()
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # the default ends the process, whatever it is doing
    signal.setitimer(signal.ITIMER_REAL, max(0.1, link.deadline + GRACE_SECONDS - time.monotonic()))
    link.say("done", **perform(link))
    os._exit(0)  # pyghmi's thread would be waited for
