"""Virtual time: a queue of events, and processes that sleep in it. One runs at a time, in a fixed order."""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable


class Process:
    """Blocking code in a thread of its own that gets its turn from the loop."""

    def __init__(self, loop: Loop, call: Callable[[], None]) -> None:
        self.killed = False
        self.ended = False
        self.error: BaseException | None = None
        self._loop = loop
        self._call = call
        self._turn = threading.Semaphore(0)
        self._back = threading.Semaphore(0)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._started = False

    def resume(self) -> None:
        """Called by the loop: let it run until it sleeps or ends. A killed one never wakes again."""
        if self.killed or self.ended:
            return
        self._loop.current = self
        if self._started:
            self._turn.release()
        else:
            self._started = True
            self._thread.start()
        self._back.acquire()
        self._loop.current = None
        if self.error is not None:
            raise self.error

    def give_way(self) -> None:
        """Called by the process: back to the loop, until it is resumed."""
        self._back.release()
        self._turn.acquire()

    def _run(self) -> None:
        try:
            self._call()
        except BaseException as error:  # noqa: BLE001 - handed on to the loop, which raises it
            self.error = error
        self.ended = True
        self._back.release()


class Loop:
    """The clock: call it for epoch seconds."""

    def __init__(self, start: float) -> None:
        self.now = start
        self.current: Process | None = None
        self._until = start
        self._count = itertools.count()
        self._events: list[tuple[float, int, Callable[[], None]]] = []

    def __call__(self) -> float:
        """Epoch seconds."""
        return self.now

    def at(self, when: float, call: Callable[[], None]) -> None:
        """Call at a time; what is due at once comes in the order of asking."""
        heapq.heappush(self._events, (max(when, self.now), next(self._count), call))

    def after(self, seconds: float, call: Callable[[], None]) -> None:
        """Call in some seconds."""
        self.at(self.now + seconds, call)

    def spawn(self, call: Callable[[], None]) -> Process:
        """A process that begins as soon as whoever runs now gives way."""
        process = Process(self, call)
        self.at(self.now, process.resume)
        return process

    def sleep(self, seconds: float) -> None:
        """For processes: let time pass."""
        process = self.current
        if process is None:
            raise RuntimeError("only a process can sleep")
        wake = self.now + max(seconds, 0.0)
        if wake <= self._until and (not self._events or self._events[0][0] > wake):
            self.now = wake  # nobody else has anything to do meanwhile
            return
        self.at(wake, process.resume)
        process.give_way()

    def run(self, until: float) -> None:
        """Let everything happen up to a time."""
        self._until = until
        while self._events and self._events[0][0] <= until:
            self.now, _, call = heapq.heappop(self._events)
            call()
        self.now = until
