"""A heal that dies (-9): when it is killed, and what tidy makes of it once the product was started again."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import psutil

from tests.guest.healer import HOST, Child, Ended, Healer
from tests.guest.outside import assert_left_clean
from tests.guest.payload import heal_overdue

STEP_SECONDS = 150.0
FREED_SECONDS = 240.0  # 60 s of silence, or 60 s behind the latest moment of what may still be sent
ASK_SECONDS = 3.0
RUNGS = {
    "reap": "reap hung clients",
    "inband": "in-band cold reset",
    "unload": "unload the driver",
    "throttle": "throttle kipmi",
    "oob": "out-of-band cold reset",
    "load": "load the driver",
}


def await_moment(child: Child, state: Path, moment: str, rung: str) -> None:
    """Wait until a heal has come so far.

    :param moment: `before` a rung has written its intent, `during`: its deed may be sent from now on,
        `after`: it has ended, its gate is at work
    """
    label = f" rung: {RUNGS[rung]} "
    child.until(lambda line: f"{label}..." in line, STEP_SECONDS, f"the rung {rung}")
    if moment == "during":
        until(lambda: _may_be_sent(state, rung), STEP_SECONDS, f"the intent of {rung}")
    elif moment == "after":
        child.until(lambda line: label in line and " after " in line, STEP_SECONDS, f"the end of {rung}")


def stop_all(child: Child) -> list[psutil.Process]:
    """Suspend a heal with all its processes on this machine; these.

    Its runner first, so that none of its actions can begin another process unseen.
    """
    runner = psutil.Process(child.process.pid)
    runner.suspend()
    processes = runner.children(recursive=True)
    for process in processes:
        process.suspend()
    return [*processes, runner]


def kill_all(child: Child) -> None:
    """Kill a heal with all its processes on this machine."""
    for process in stop_all(child):
        process.kill()
    child.kill()


def go_on(processes: list[psutil.Process]) -> None:
    """Those that were suspended, and have not been killed since."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.resume()


def boot(state: Path) -> None:
    """Leave what a boot of this machine leaves, which cannot be booted for a test: the datastore's file.

    Its processes are gone already (`kill`). The worst of a boot is that others have their ids: each process
    that the file names is made out to be this one, of another boot.
    """
    started = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    other = json.dumps({"pid": os.getpid(), "start_ticks": started, "boot_id": "another boot"})
    with closing(sqlite3.connect(state / "packrunner.db", timeout=20)) as base, base:
        base.execute("UPDATE executions SET engine = ?", (other,))
        base.execute("UPDATE executions SET process = ? WHERE process IS NOT NULL", (other,))


def tidied(healer: Healer) -> Ended:
    """Say `heal.overdue`, as the sensor does again and again, until the lock is free; the dead heal's end."""
    dead = healer.incidents()[0]
    refused = healer.heal()
    assert refused.told["outcome"] == "refused", refused.sentence  # its lock holds
    freed: Ended | None = None

    def free() -> bool:
        nonlocal freed
        freed = healer.trigger("heal.overdue", **heal_overdue(dead))
        return bool(freed.told.get("freed"))

    until(free, FREED_SECONDS, "the lock to be free", pause=ASK_SECONDS)
    assert freed is not None and "Its lock is free" in freed.sentence, freed
    assert_left_clean(healer.lab)
    ended = healer.report(dead["id"])
    status = healer.status()
    assert status["healing"] is None
    assert bool(status["held"]) == (ended["outcome"] == "escalated")
    if status["held"]:
        again = healer.heal()
        assert again.told["outcome"] == "refused" and "was escalated" in again.sentence, again.sentence
        assert healer.run("resume", HOST).status == 0
    return Ended(0, ended, "")


def stays_locked(healer: Healer, because: str) -> None:
    """Say `heal.overdue` until that is the reason why the dead heal keeps its lock."""
    dead = healer.incidents()[0]

    def held() -> bool:
        answer = healer.trigger("heal.overdue", **heal_overdue(dead))
        assert not answer.told.get("freed"), answer
        return because in answer.sentence

    until(held, FREED_SECONDS, f"a lock that stays because {because}", pause=ASK_SECONDS)


def _may_be_sent(state: Path, rung: str) -> bool:
    """Its intent is open and the heal is counted, which is the last thing before a deed is sent."""
    found = kept(state)
    opened = [v for k, v in found.items() if ":intent:" in k and v["rung"] == rung and v["result"] is None]
    return bool(opened) and any(":heal:" in key for key in found)


def kept(state: Path) -> dict[str, Any]:
    """All that is in the datastore."""
    uri = f"file:{state / 'packrunner.db'}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True, timeout=20)) as base:
        return {name: json.loads(value) for name, value in base.execute("SELECT name, value FROM keyvalue")}


def until(condition: Callable[[], bool], seconds: float, what: str, pause: float = 0.02) -> None:
    """Wait until it is true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{what} did not come"
        time.sleep(pause)
