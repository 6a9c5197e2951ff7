"""Runs a command and kills it when stdin closes: `python -m lab.keeper CMD ARGS...`."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

from lab.children import die_with_parent


def main(argv: list[str]) -> int:
    """The command's exit status (128 + signal when it was killed)."""
    child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, preexec_fn=die_with_parent)

    def watch_parent() -> None:
        while os.read(0, 4096):  # sys.stdin has a lock that a daemon thread must not hold when Python ends
            pass
        child.kill()

    threading.Thread(target=watch_parent, daemon=True).start()
    status = child.wait()
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
