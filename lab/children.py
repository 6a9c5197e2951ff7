"""Child processes that never outlive their parent."""

from __future__ import annotations

import ctypes
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

PR_SET_PDEATHSIG = 1
PACKAGE_PARENT = str(Path(__file__).resolve().parent.parent)
_libc = ctypes.CDLL(None)


def die_with_parent() -> None:
    """A `preexec_fn`: the kernel kills this process when the thread that started it ends.

    Use it only from a thread that lives as long as its process; elsewhere use `keep`.
    """
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def keep(argv: Sequence[str], *, log: Path) -> subprocess.Popen[bytes]:
    """Start a command under a keeper, a small process that kills it when our end of its stdin closes.

    Closing happens by `stop`, or by our death in whatever way, from whatever thread.
    """
    with log.open("ab") as out:
        return subprocess.Popen(
            [sys.executable, "-m", "lab.keeper", *argv],
            cwd=PACKAGE_PARENT,
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a Ctrl-C reaches only the lab's owner, who closes it in order
        )


def inside(kept: subprocess.Popen[bytes]) -> int:
    """The pid of the command under a keeper."""
    return int(Path(f"/proc/{kept.pid}/task/{kept.pid}/children").read_text().split()[0])


def stop(kept: subprocess.Popen[bytes], *, seconds: float = 5.0) -> None:
    """End a process that ends with its stdin; killed when it takes longer than `seconds`."""
    if kept.stdin is not None:
        kept.stdin.close()
    try:
        kept.wait(seconds)
    except subprocess.TimeoutExpired:
        kept.kill()
        kept.wait()
