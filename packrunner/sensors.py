"""Keeps each sensor running in a process of its own until told to stop."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from packrunner import events, launcher, model

LOG = logging.getLogger(__name__)

FIRST_BACKOFF_SECONDS = 2.5  # StackStorm's delay before it starts a dead sensor again
LAST_BACKOFF_SECONDS = 60.0
_STEADY_SECONDS = 60.0  # a sensor that lived this long starts again with the first delay
_EXIT_SECONDS = 5.0  # between SIGTERM and SIGKILL
_POLL_SECONDS = 0.2
_LEVELS = {"DEBUG": 10, "INFO": 20, "WARNING": 30, "ERROR": 40, "CRITICAL": 50}


@dataclass(frozen=True)
class SensorSetting:
    """What every sensor gets."""

    python: str
    config: Mapping[str, Any]
    database: Path
    environment: Mapping[str, str]


class SensorSupervisor:
    """One sensor, watched over by one thread.

    :param dispatch: called with trigger and payload for everything the sensor dispatches
    """

    def __init__(
        self,
        sensor: model.Sensor,
        setting: SensorSetting,
        dispatch: Callable[[str, Any], None],
        listener: events.Events,
    ) -> None:
        self._sensor = sensor
        self._setting = setting
        self._dispatch = dispatch
        self._listener = listener
        self._stop = threading.Event()
        self._log = logging.getLogger(f"packrunner.sensor.{sensor.class_name}")
        self._thread = threading.Thread(target=self._supervise, daemon=True, name=sensor.ref)
        self._thread.start()

    def stop(self) -> None:
        """Tell it to end; ``join`` waits for it."""
        self._stop.set()

    def join(self) -> None:
        """Wait until the process is gone."""
        self._thread.join(2 * _EXIT_SECONDS)

    def _supervise(self) -> None:
        delay = FIRST_BACKOFF_SECONDS
        while not self._stop.is_set():
            begun = time.monotonic()
            try:
                code = self._run_once()
            except Exception:
                LOG.exception("sensor %s cannot be started", self._sensor.ref)
                code = -1
            if self._stop.is_set():
                return
            if time.monotonic() - begun > _STEADY_SECONDS:
                delay = FIRST_BACKOFF_SECONDS
            LOG.warning("sensor %s ended with %s; again in %.1f s", self._sensor.ref, code, delay)
            self._emit(events.SENSOR_EXITED, exit_code=code, again_in_seconds=delay)
            self._stop.wait(delay)
            delay = min(delay * 2, LAST_BACKOFF_SECONDS)

    def _run_once(self) -> int:
        """Start it and wait for its end, or end it; the exit status."""
        # Its end is bound to this thread (PR_SET_PDEATHSIG), which therefore starts it and waits.
        environment = {**self._setting.environment, "PYTHONPATH": launcher.python_path()}
        process, lines, number = launcher.start(
            self._setting.python, "packrunner.sensor_process", environment, subprocess.STDOUT
        )
        assert process.stdin and process.stdout  # noqa: S101  they are pipes
        threading.Thread(target=self._take, args=(lines,), daemon=True).start()
        threading.Thread(target=self._echo, args=(process.stdout,), daemon=True).start()
        with contextlib.suppress(BrokenPipeError), process.stdin as stream:
            stream.write(self._request(number))
        self._emit(events.SENSOR_STARTED, pid=process.pid)
        while process.poll() is None:
            if self._stop.wait(_POLL_SECONDS):
                self._end(process)
        return process.returncode

    def _request(self, fd: int) -> bytes:
        document = {
            "file": str(self._sensor.entry_point),
            "class_name": self._sensor.class_name,
            "pack": self._sensor.ref.partition(".")[0],
            "config": self._setting.config,
            "poll_interval": self._sensor.poll_interval,
            "database": str(self._setting.database),
            "parent": os.getpid(),
            "fd": fd,
        }
        return json.dumps(document, default=str).encode()

    @staticmethod
    def _end(process: subprocess.Popen[bytes]) -> None:
        process.terminate()
        try:
            process.wait(_EXIT_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(_EXIT_SECONDS)

    def _take(self, stream: IO[bytes]) -> None:
        """Triggers, a JSON line each."""
        with stream:
            for line in stream:
                try:
                    document = json.loads(line)
                    self._dispatch(document["trigger"], document["payload"])
                except Exception:
                    LOG.exception("a trigger of %s was lost", self._sensor.ref)

    def _echo(self, stream: IO[bytes]) -> None:
        """What it prints and logs, line by line into the log."""
        with stream:
            for line in stream:
                text = line.decode(errors="replace").rstrip()
                level, _, rest = text.partition(" ")
                if level in _LEVELS:
                    self._log.log(_LEVELS[level], "%s", rest)
                else:
                    self._log.info("%s", text)

    def _emit(self, kind: str, **detail: Any) -> None:
        detail = {"sensor": self._sensor.ref, **detail}
        self._listener.emit(events.Event(kind=kind, at=time.time(), detail=detail))
