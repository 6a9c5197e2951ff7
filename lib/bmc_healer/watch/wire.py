"""The watch process's side of the line protocol: JSON lines in from the sensor, JSON lines out to it.

The process lives exactly as long as its stdin is open. StackStorm ends a sensor by SIGTERM without
`cleanup()`, so the end of stdin is the only sign there is, and it must work whatever else hangs.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

Line = dict[str, Any]


class Lines:
    """Writes one JSON object a line; safe to share between threads."""

    def __init__(self, out: BinaryIO | None = None) -> None:
        self._out = out or sys.stdout.buffer
        self._lock = threading.Lock()

    def put(self, line: Line) -> None:
        """Write one line; when the sensor does not read, wait: it has nothing better to do with more."""
        data = json.dumps(line, separators=(",", ":")).encode() + b"\n"
        with self._lock:
            self._out.write(data)
            self._out.flush()

    def log(self, level: str, text: str) -> None:
        """A line for the sensor's log; `level` is debug, info, warning or error."""
        self.put({"log": level, "text": text})


def raise_descriptors() -> None:
    """Allow this process as many open files as it may have: 1,024 is what a service begins with."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def first_line(source: BinaryIO) -> Line | None:
    """The settings; None when stdin ended before."""
    data = source.readline()
    return _object(data) if data else None


def follow(source: BinaryIO, take: Callable[[Line], None]) -> threading.Thread:
    """Hand every further line to `take`, in a thread of its own, and end the process with the last one."""

    def read() -> None:
        for data in iter(source.readline, b""):
            with contextlib.suppress(ValueError):
                take(_object(data))
        vanish()

    thread = threading.Thread(target=read, name="stdin", daemon=True)
    thread.start()
    return thread


def vanish() -> None:
    """End this process and its children now, without waiting for anything."""
    for pid in _children():
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)
    os._exit(0)


def _children() -> list[int]:
    """Direct children of all threads (an in-band probe of this host, a BMC session)."""
    found: list[int] = []
    for task in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(OSError, ValueError):
            found += [int(pid) for pid in task.read_text().split()]
    return found


def _object(data: bytes) -> Line:
    line = json.loads(data)
    if not isinstance(line, dict):
        raise ValueError("not a JSON object")
    return line
