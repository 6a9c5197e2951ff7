"""Prints what happens, with the seconds since the start in front of every line."""

from __future__ import annotations

import sys
import textwrap
import threading
import time

WIDTH = 100


class Narrator:
    """`say` for what the demo does, `indented` for what somebody said; lines come from several threads."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._lock = threading.Lock()

    @property
    def seconds(self) -> float:
        """Since the demo began."""
        return time.monotonic() - self._start

    def heading(self, text: str) -> None:
        """A new part of the story."""
        with self._lock:
            sys.stdout.write(f"\n[{self.seconds:6.1f} s] == {text}\n")
            sys.stdout.flush()

    def say(self, text: str) -> None:
        """One event."""
        self._lines(text, "  ")

    def indented(self, who: str, text: str) -> None:
        """What somebody said, below who it was."""
        with self._lock:
            sys.stdout.write(f"[{self.seconds:6.1f} s]   {who}\n")
            for line in text.splitlines():
                sys.stdout.write(textwrap.indent(textwrap.fill(line, WIDTH - 16), " " * 13 + "| ") + "\n")
            sys.stdout.flush()

    def _lines(self, text: str, indent: str) -> None:
        first, *rest = textwrap.wrap(text, WIDTH - 14) or [""]
        with self._lock:
            sys.stdout.write(f"[{self.seconds:6.1f} s] {indent}{first}\n")
            sys.stdout.writelines(f"{'':11} {indent}  {line}\n" for line in rest)
            sys.stdout.flush()
