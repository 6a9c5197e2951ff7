"""The pack's action processes and everything below them, sampled while they run."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from tests.stackstorm.api import until
from tests.stackstorm.dying import actions_alive
from tests.stackstorm.services import Services, descendants, started_at

SAMPLE_SECONDS = 0.05
SESSION = "-m bmc_healer.bmc.session_child"


class Family:
    """Context manager: notes every process of an action from its start on.

    seconds: by pid and start time, how long it was seen; what: its first arguments
    """

    def __init__(self, services: Services) -> None:
        self.seconds: dict[tuple[int, str], float] = {}
        self.what: dict[tuple[int, str], str] = {}
        self._services = services
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Family:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def alive(self, word: str = "") -> dict[int, str]:
        """Those that live now: pid, and what it is; only those of which it holds `word`."""
        living = [key for key in self.what if started_at(str(key[0])) == key[1]]
        return {pid: self.what[pid, start] for pid, start in living if word in self.what[pid, start]}

    def until_alive(self, word: str) -> None:
        """Wait until there is one."""
        until(lambda: self.alive(word), 60, f"a process {word}", interval=0.02)

    def until_gone(self, seconds: float, word: str = "") -> float:
        """Wait until none is left; how long that took."""
        began = time.monotonic()
        until(lambda: not self.alive(word), seconds, f"the end of {self.alive(word)}", interval=0.02)
        return time.monotonic() - began

    def longest(self, word: str) -> float:
        """How long the longest was seen."""
        return max(seconds for key, seconds in self.seconds.items() if word in self.what[key])

    def _watch(self) -> None:
        first: dict[tuple[int, str], float] = {}
        while not self._ended.wait(SAMPLE_SECONDS):
            now = time.monotonic()
            for pid in actions_alive(self._services):
                for one in (pid, *descendants(pid)):
                    if start := started_at(str(one)):
                        key = (one, start)
                        self.what[key] = _what(one) or self.what.get(key, "")
                        self.seconds[key] = now - first.setdefault(key, now)


def _what(pid: int) -> str:
    with suppress(OSError):
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
        return " ".join(words[1:5])
    return ""
