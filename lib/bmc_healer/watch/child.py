"""The watch process as the sensor holds it: lines in and out without waiting, an environment of its own.

StackStorm's sensor process is monkey-patched by eventlet, puts its own libraries in front of the pack's and
holds a token in its environment; so the child gets none of that. It ends when its stdin is closed, and that
happens with the end of the sensor, however it comes.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import bmc_healer

INHERITED = ("PATH", "LANG", "HOME", "SSH_AUTH_SOCK")
CHUNK = 4096  # PIPE_BUF on Linux: what a pipe that is ready takes without blocking
PIPE_SIZE = 1 << 20  # bytes, the most that Linux gives anybody: what is known of ten thousand hosts fits in
PATIENCE_SECONDS = 0.1  # for a child that reads what did not fit
READ_LIMIT = 1 << 20  # bytes taken from the child in one go; the rest stays in the pipe, and the child waits
LINE_LIMIT = 8 << 20  # bytes; longer is no line of ours (the names of 100,000 BMCs are 2 MB)


class ChildLost(Exception):  # noqa: N818 (a fact, not an error of ours)
    """The process ended, or its pipes broke."""


class WatchChild:
    """A running `python -m bmc_healer.watch KIND`.

    :param first: the first line
    :raises OSError: it could not be started
    """

    def __init__(self, kind: str, first: Mapping[str, Any], environ: Mapping[str, str] = os.environ) -> None:
        library = Path(bmc_healer.__file__).resolve().parent.parent
        kept = {name: environ[name] for name in INHERITED if name in environ}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bmc_healer.watch", kind],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=kept | {"PYTHONPATH": str(library), "PYTHONUNBUFFERED": "1"},
            cwd="/",
            start_new_session=True,
        )
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None  # noqa: S101 (PIPE)
            with contextlib.suppress(OSError):  # an administrator may allow less; then it takes longer
                fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, PIPE_SIZE)
        self._unsent = b""
        self._partial = b""
        self.send(first)

    def send(self, line: Mapping[str, Any]) -> None:
        """Queue a line; `flush` writes it as the child takes it."""
        self._unsent += json.dumps(line).encode() + b"\n"

    def flush(self) -> None:
        """Write what the pipe takes, as long as the child reads.

        :raises ChildLost: the child does not read any more
        """
        assert self._process.stdin is not None  # noqa: S101 (PIPE)
        number = self._process.stdin.fileno()
        while self._unsent and select.select([], [number], [], PATIENCE_SECONDS)[1]:
            try:
                written = os.write(number, self._unsent[:CHUNK])
            except OSError as error:
                raise ChildLost(self._end(f"it closed its stdin ({error})")) from None
            self._unsent = self._unsent[written:]

    def read(self) -> list[bytes]:
        """The whole lines that have arrived.

        :raises ChildLost: the child ended and everything was read
        """
        assert self._process.stdout is not None  # noqa: S101 (PIPE)
        number = self._process.stdout.fileno()
        taken = 0
        while taken < READ_LIMIT and select.select([number], [], [], 0)[0]:
            data = os.read(number, 65536)
            if not data and not self._partial:
                raise ChildLost(self._end("it ended"))
            taken += len(data)
            self._partial += data or b"\n"
            if not data:  # the last words of a dying process; its end is told at the next reading
                break
        *lines, self._partial = self._partial.split(b"\n")
        if len(self._partial) > LINE_LIMIT:
            raise ChildLost(self._end("it sends a line without end"))
        return [line for line in lines if line]

    def stop(self) -> None:
        """End it now, and take its exit status."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        with contextlib.suppress(OSError):
            self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1.0)

    def _end(self, how: str) -> str:
        # Its pipes close a moment before it can be waited for.
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(PATIENCE_SECONDS)
        status = self._process.returncode
        return how if status is None else f"{how}, exit status {status}"
