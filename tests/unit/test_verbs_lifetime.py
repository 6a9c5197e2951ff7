"""An action's process that nobody ends at its limit ends itself."""

import subprocess
import sys
import threading
import time
from pathlib import Path

from bmc_healer.verbs import lifetime

LIBRARY = Path(lifetime.__file__).parents[2]
HANGS = """
import threading
from bmc_healer.verbs import lifetime
lifetime.GRACE_SECONDS = 0.2
with lifetime.limited(0.3):
    threading.Thread(target=threading.Event().wait).start()
    threading.Event().wait()
"""


def test_a_process_that_hangs_ends_with_its_threads_at_its_limit():
    began = time.monotonic()
    ended = subprocess.run(
        [sys.executable, "-c", HANGS], env={"PYTHONPATH": str(LIBRARY)}, timeout=60, check=False
    )
    assert ended.returncode == lifetime.EXIT_STATUS
    assert time.monotonic() - began >= 0.5


def test_work_that_ends_in_time_leaves_nothing_that_would_end_the_process(monkeypatch):
    exited = []
    monkeypatch.setattr(lifetime.os, "_exit", exited.append)
    monkeypatch.setattr(lifetime, "GRACE_SECONDS", 0.0)
    before = threading.active_count()
    with lifetime.limited(0.2):
        assert threading.active_count() == before + 1
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer):
            thread.join(5)
    assert (threading.active_count(), exited) == (before, [])
