"""The parent's end of a child process that talks to one BMC: started, spoken to, and gone at the deadline."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import bmc_healer
from bmc_healer.errors import BmcError

_LIBRARY = Path(bmc_healer.__file__).parent.parent
_LEAVE_SECONDS = 1.5  # for the child to log out after its stdin was closed
_LONGEST = 1 << 16  # bytes of one event


class ChildError(BmcError):
    """The child ended, or was ended at its deadline, before it had said everything."""


class Child:
    """A context manager around `python -m MODULE`; `request` goes to its stdin, since it may hold a password.

    :param limit: seconds that the child may live; its request tells it the `deadline` (CLOCK_MONOTONIC, which
        all processes of a machine share)
    """

    def __init__(self, module: str, request: dict[str, Any], *, limit: float, where: str) -> None:
        self._module = module
        self._request = request
        self._limit = limit
        self._where = where
        self._buffer = b""

    def __enter__(self) -> Child:
        self._deadline = time.monotonic() + self._limit
        path = os.pathsep.join(filter(None, (str(_LIBRARY), os.environ.get("PYTHONPATH"))))
        self._process = subprocess.Popen(
            [sys.executable, "-m", self._module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # a Ctrl-C at the terminal is the parent's to handle
            cwd="/",
            env={**os.environ, "PYTHONPATH": path},
        )
        self.tell(json.dumps({**self._request, "deadline": self._deadline}))
        return self

    def __exit__(self, *_: object) -> None:
        process = self._process
        with contextlib.suppress(OSError):
            process.stdin.close()  # type: ignore[union-attr]
        try:
            process.wait(_LEAVE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()  # type: ignore[union-attr]

    def tell(self, line: str) -> None:
        """Send a line; a child that is gone shows at the next `event()`."""
        with contextlib.suppress(OSError):
            self._process.stdin.write(line.encode() + b"\n")  # type: ignore[union-attr]
            self._process.stdin.flush()  # type: ignore[union-attr]

    def event(self) -> dict[str, Any]:
        """The child's next event.

        :raises ChildError: when it does not come within the child's limit
        """
        while b"\n" not in self._buffer:
            self._buffer += self._read()
        line, self._buffer = self._buffer.split(b"\n", 1)
        event: dict[str, Any] = json.loads(line)
        return event

    def _read(self) -> bytes:
        out = self._process.stdout.fileno()  # type: ignore[union-attr]
        poll = select.poll()  # select() cannot take descriptors above 1023
        poll.register(out, select.POLLIN)
        left = self._deadline - time.monotonic()
        chunk = os.read(out, _LONGEST) if left > 0 and poll.poll(left * 1000) else b""
        if not chunk:
            late = time.monotonic() > self._deadline - 0.1
            what = f"the BMC was not done within {self._limit:.0f} s" if late else "the BMC's process died"
            raise ChildError(what, self._where)
        return chunk
