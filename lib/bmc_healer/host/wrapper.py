"""The frame around every command on a host: what is sent (`run.sh`) and how its answer is read. Pure.

The limit is kept on the host, by the shell around the command, so it holds when our connection is gone.
The answer ends with a line that carries a token made for this one command; what comes later, from a process
that cannot be killed and still holds the pipes, is nobody's business.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..errors import HostAccessError
from .access import Result
from .scripts import script

KILL_SECONDS = 4.0  # run.sh gives TERM and then KILL up to two seconds each
_TAIL = 256  # enough for the last line, far less than what is kept of the output


def wrap(argv: Sequence[str], *, end: str, limit: float, mark: str | None, sudo: bool) -> list[str]:
    """The argv that runs `argv` under `run.sh`. Rounds the limit up: not every `sleep` takes fractions."""
    seconds = str(max(1, math.ceil(limit)))
    framed = ["sh", "-c", script("run"), "bmc_healer", end, seconds, mark or "", *argv]
    # sudo empties the environment; run.sh sets the mark inside of it.
    return ["sudo", "-n", *framed] if sudo else framed


class Capture:
    """One stream of a command: the first `most` bytes of its output and the word after the end token."""

    def __init__(self, end: str, most: int) -> None:
        self._end = b"\n" + end.encode()
        self._most = most
        self._kept = bytearray()
        self._tail = b""
        self.word: str | None = None

    def feed(self, data: bytes) -> bool:
        """Take what arrived; True once the end token was seen, later bytes are ignored."""
        if self.word is not None:
            return True
        window = self._tail + data
        at = window.find(self._end)
        newline = window.find(b"\n", at + len(self._end)) if at >= 0 else -1
        if newline >= 0:
            self.word = window[at + len(self._end) : newline].decode("ascii", "replace").strip()
            self._keep(window[:at])
            self._tail = b""
            return True
        cut = max(0, len(window) - _TAIL)
        self._keep(window[:cut])
        self._tail = window[cut:]
        return False

    def _keep(self, data: bytes) -> None:
        self._kept += data[: self._most - len(self._kept)]

    def text(self) -> str:
        """What was kept, with what is no UTF-8 replaced."""
        return bytes((self._kept + self._tail)[: self._most]).decode("utf-8", "replace")


def result(out: Capture, err: Capture, *, seconds: float, where: str) -> Result:
    """The outcome of a command whose stdout has ended with the token.

    :raises HostAccessError: the word after the token is none that `run.sh` says
    """
    word = out.word or ""
    if word in ("late", "stuck"):
        return Result(None, out.text(), err.text(), seconds, unkillable=word == "stuck")
    if word.isascii() and word.isdigit() and len(word) <= 3:
        return Result(int(word), out.text(), err.text(), seconds)
    raise HostAccessError(
        "the shell around the command answered nonsense", where, "look at the host's /bin/sh"
    )
