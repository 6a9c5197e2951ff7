"""StackStorm's own processes, by their pid files: to kill them, and to start them again as they were.

`ST2_LAB_STATE/run/NAME.pid` holds "PID STARTTIME" (field 22 of /proc/PID/stat), so that a recycled pid is
never taken for a service; `ST2_LAB_STATE/logs/NAME.log` is where it writes.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.stackstorm.api import until

STOPPED_SECONDS = 30.0


class Service:
    """One service; how it was started is read from /proc while it runs."""

    def __init__(self, name: str, state: Path) -> None:
        self.name = name
        self.log = state / "logs" / f"{name}.log"
        self._file = state / "run" / f"{name}.pid"
        self._remember()

    def _remember(self) -> None:
        process = Path("/proc") / str(self.pid)
        self._argv = process.joinpath("cmdline").read_bytes().rstrip(b"\0").split(b"\0")
        environ = process.joinpath("environ").read_bytes().rstrip(b"\0").split(b"\0")
        self._environ = dict(pair.split(b"=", 1) for pair in environ if b"=" in pair)
        self._cwd = process.joinpath("cwd").readlink()

    @property
    def pid(self) -> int:
        """Of the running service; 0 when it does not run."""
        try:
            pid, started = self._file.read_text().split()
        except (OSError, ValueError):
            return 0
        return int(pid) if started_at(pid) == started else 0

    def end(self, number: signal.Signals = signal.SIGTERM, *, below: bool = False) -> None:
        """Signal it, and wait until it is gone.

        :param below: the processes below it too (RabbitMQ is a shell that waits for Erlang); else it alone
        """
        for pid in [self.pid, *(self.children() if below else [])]:
            if pid:
                with suppress(ProcessLookupError):
                    os.kill(pid, number)
        until(lambda: not self.pid, STOPPED_SECONDS, f"the end of {self.name}")

    def start(self) -> None:
        """Start it as it was started before; nothing when it runs."""
        if self.pid:
            return
        with self.log.open("ab") as log:
            child = subprocess.Popen(
                self._argv, env=self._environ, cwd=self._cwd, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        self._file.write_text(f"{child.pid} {started_at(str(child.pid))}\n")

    @contextmanager
    def twin(self) -> Iterator[Twin]:
        """Another process of it, as on a second node; it ends with the context, and all below it."""
        with self.log.open("ab") as log:
            child = subprocess.Popen(
                self._argv, env=self._environ, cwd=self._cwd, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        twin = Twin(child, self.log)
        try:
            yield twin
        finally:
            twin.kill()

    def children(self) -> list[int]:
        """The pids below it, at any depth."""
        return descendants(self.pid)


@dataclass(frozen=True)
class Twin:
    """A second process of a service; it writes into the same log."""

    process: subprocess.Popen[bytes]
    log: Path

    def children(self) -> list[int]:
        """The pids below it, at any depth."""
        return descendants(self.process.pid)

    def kill(self) -> None:
        """As when the power of its node fails."""
        for pid in [self.process.pid, *self.children()]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(STOPPED_SECONDS)


class Services:
    """All services of the StackStorm whose state directory this is."""

    INFRASTRUCTURE = ("mongolite", "redis", "rabbitmq", "epmd")

    def __init__(self, state: Path) -> None:
        names = sorted(file.stem for file in (state / "run").glob("*.pid"))
        self._all = {name: Service(name, state) for name in names}
        self.logs = state / "logs"

    def __getitem__(self, name: str) -> Service:
        return self._all[name]

    def stackstorm(self) -> list[Service]:
        """StackStorm's own, without message bus and databases."""
        return [service for name, service in self._all.items() if name not in self.INFRASTRUCTURE]

    def start(self) -> None:
        """Start whatever does not run."""
        for service in self._all.values():
            service.start()


def descendants(pid: int) -> list[int]:
    """The pids below `pid`, at any depth."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*"):
        with suppress(OSError):
            for child in task.joinpath("children").read_text().split():
                found += [int(child), *descendants(int(child))]
    return found


def started_at(pid: str) -> str:
    """The start time of a process in clock ticks; empty when it is gone or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]
