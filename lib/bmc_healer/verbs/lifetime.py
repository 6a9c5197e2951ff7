"""The time limit of an action's own process, kept by itself.

The engine's runner ends the process at the action's `timeout`. A runner that died does not, and StackStorm's
client of the datastore waits for an answer without a limit: while the API hangs, an orphan would never end.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

GRACE_SECONDS = 10.0  # an engine that lives comes first, and says that it was the timeout
EXIT_STATUS = 1


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Around an action's work: the whole process ends when it is not left `GRACE_SECONDS` after its limit.

    As under kill -9: what was sent before has its intent, and the BMC's child ends with its stdin.
    """
    timer = threading.Timer(seconds + GRACE_SECONDS, os._exit, (EXIT_STATUS,))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
