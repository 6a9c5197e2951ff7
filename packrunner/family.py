"""Ends a process with all its descendants. Apart from ``processes``, since psutil's import costs 20 ms."""

from __future__ import annotations

import contextlib
import os
import signal
import time

import psutil

_KILL_ROUNDS = 40
_KILL_PAUSE_SECONDS = 0.05


def kill_family(pid: int) -> list[int]:
    """SIGKILL a process that is a subreaper, and all its descendants in whatever session they are.

    The head is stopped first and killed last: as long as it exists, orphans fall to it and are found. A
    descendant in uninterruptible sleep cannot be killed; after two seconds it is given up.

    :returns: pids of those given up
    """
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGSTOP)
    left: list[psutil.Process] = []
    for _ in range(_KILL_ROUNDS):
        left = _living_descendants(pid)
        if not left:
            break
        for process in left:
            with contextlib.suppress(psutil.Error):
                process.kill()
        time.sleep(_KILL_PAUSE_SECONDS)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    return [process.pid for process in left]


def _living_descendants(pid: int) -> list[psutil.Process]:
    try:
        family = psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
    living = []
    for process in family:
        with contextlib.suppress(psutil.Error):
            if process.status() != psutil.STATUS_ZOMBIE:
                living.append(process)
    return living
