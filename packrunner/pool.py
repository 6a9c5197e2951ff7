"""Worker threads for what rules start: as many at once as there are workers, the rest in order."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable

LOG = logging.getLogger(__name__)


class Pool:
    """Daemon threads, started when first needed; they do not hold up the end of the process."""

    def __init__(self, workers: int) -> None:
        self._left = workers
        self._idle = 0
        self._jobs: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
        self._lock = threading.Lock()

    def submit(self, job: Callable[[], object]) -> None:
        """Run it as soon as a worker is free."""
        with self._lock:
            self._jobs.put(job)
            if self._idle < self._jobs.qsize() and self._left:
                self._left -= 1
                threading.Thread(target=self._work, daemon=True, name="pool").start()

    def _work(self) -> None:
        while True:
            with self._lock:
                self._idle += 1
            job = self._jobs.get()
            with self._lock:
                self._idle -= 1
            try:
                job()
            except Exception:
                LOG.exception("a job failed")
