"""Processes of this Linux machine: who is who across pid reuse and reboots; two requests to the kernel."""

from __future__ import annotations

import ctypes
import functools
import json
import os
import signal
from dataclasses import asdict, dataclass
from pathlib import Path

# linux/prctl.h
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True)
class Identity:
    """A process beyond its pid.

    ``start_ticks`` is field 22 of /proc/PID/stat, which does not move with the clock.
    """

    pid: int
    start_ticks: int
    boot_id: str

    def to_json(self) -> str:
        """The form kept in the database."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> Identity:
        """The reverse of ``to_json``."""
        return Identity(**json.loads(text))

    def alive(self) -> bool:
        """Whether this very process still runs (a zombie does not)."""
        if self.boot_id != boot_id():
            return False
        stat = _stat(self.pid)
        return stat is not None and stat == ("", self.start_ticks)


@functools.cache
def boot_id() -> str:
    """The kernel's id of this boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def identify(pid: int) -> Identity:
    """Identity of a process that is known to exist; one that just ended gets a start that matches nothing."""
    stat = _stat(pid)
    return Identity(pid, stat[1] if stat else -1, boot_id())


@functools.cache
def _own(pid: int) -> Identity:
    return identify(pid)


def own_identity() -> Identity:
    """Identity of the calling process."""
    return _own(os.getpid())


def _stat(pid: int) -> tuple[str, int] | None:
    """``("", start_ticks)``, or ``("Z", start_ticks)`` of a zombie, or None when there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The command may hold spaces and parentheses, so fields are counted from the last one; state is field 3.
    fields = text.rpartition(")")[2].split()
    return ("Z" if fields[0] in ("Z", "X") else "", int(fields[19]))


def become_subreaper() -> None:
    """Orphans below the calling process become its children, so that ``kill_family`` finds all of them."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def die_with_parent() -> None:
    """SIGTERM to the calling process when the thread that started it ends."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
