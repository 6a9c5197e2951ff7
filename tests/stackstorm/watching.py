"""The pack's sensors as they run in the sensor container, and their watch processes, seen from outside."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.stackstorm.api import Api, until
from tests.stackstorm.product import PACK, SENSORS
from tests.stackstorm.services import Service, Twin

START_SECONDS = 60.0  # StackStorm looks for dead sensors every 5 s, and a start costs seconds of CPU
KINDS = ("bmc", "kipmi")


class Log:
    """What a service writes from now on."""

    def __init__(self, service: Service) -> None:
        self._file = service.log
        self._start = self._file.stat().st_size

    def lines(self) -> list[str]:
        """All of it up to now."""
        with self._file.open("rb") as log:
            log.seek(self._start)
            return log.read().decode(errors="replace").splitlines()

    def said(self, *words: str) -> list[str]:
        """The lines with all of these words."""
        return [line for line in self.lines() if all(word in line for word in words)]


class Watching:
    """The sensors below one sensor container.

    :param container: running, with the pack's sensors in it or on their way
    """

    def __init__(self, container: Service | Twin) -> None:
        self.container = container
        until(lambda: set(self.sensors()) == set(SENSORS), START_SECONDS, "both sensors")
        pid = self.sensors()[SENSORS[0]]
        self._python = _argv(pid)[0]  # the pack's own: other installations on this machine do not count

    def sensors(self) -> dict[str, int]:
        """Class name and pid of the pack's sensor processes."""
        found = {}
        for pid in self.container.children():
            argv = _argv(pid)
            if f"--pack={PACK}" in argv:
                name = next(word for word in argv if word.startswith("--class-name="))
                found[name.partition("=")[2]] = pid
        return found

    def watches(self) -> dict[str, int]:
        """Kind and pid of the watch processes that belong to a sensor."""
        below = set(self.container.children())
        return {kind: pid for kind, pid in self._everywhere() if pid in below}

    def count(self) -> int:
        """Watch processes of this installation, wherever they hang in the tree of processes."""
        return len(self._everywhere())

    def ready(self) -> dict[str, int]:
        """Wait for both watch processes; their pids by kind."""
        until(lambda: set(self.watches()) == set(KINDS), START_SECONDS, "both watch processes")
        return self.watches()

    def replaced(self, before: dict[str, int]) -> dict[str, int]:
        """Wait until both watch processes are others than `before`, and nothing is left of those."""
        until(lambda: not any(map(_alive, before.values())), START_SECONDS, "the end of the old processes")
        return self.ready()

    def _everywhere(self) -> list[tuple[str, int]]:
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                argv = _argv(int(entry.name))
                if argv[:3] == [self._python, "-m", "bmc_healer.watch"]:
                    found.append((argv[3], int(entry.name)))
        return found


class Told:
    """The instances of one trigger type that came since."""

    def __init__(self, api: Api, trigger: str) -> None:
        self._api = api
        self._trigger = f"{PACK}.{trigger}"
        self._before = {one["id"] for one in self._latest()}

    def new(self) -> list[dict[str, Any]]:
        """The newest first."""
        return [one for one in self._latest() if one["id"] not in self._before]

    def wait(self, seconds: float = START_SECONDS) -> dict[str, Any]:
        """The first one that comes from now on: its payload."""
        self._before = {one["id"] for one in self._latest()}
        found = until(self.new, seconds, f"a trigger {self._trigger}")
        payload: dict[str, Any] = found[-1]["payload"]
        return payload

    def _latest(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._api.call(
            "GET", "/triggerinstances", trigger=self._trigger, limit=50
        )
        return found


def kill(pid: int, number: signal.Signals = signal.SIGKILL) -> None:
    """Signal a process, and wait until it is gone."""
    os.kill(pid, number)
    until(lambda: not _alive(pid), 30, f"the end of process {pid}")


def _argv(pid: int) -> list[str]:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").rstrip("\0").split("\0")
    return []


def _alive(pid: int) -> bool:
    """Not gone, and no zombie."""
    return bool(_argv(pid)[:1] and _argv(pid)[0])
