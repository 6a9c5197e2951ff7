"""What a sensor's `poll()` does: keep the watch process running, take its lines, and let no exception out.

A line is taken only when what it says was kept in the datastore; else it waits for the next poll, and so do
those behind it: an incident is persisted before its trigger is dispatched (SAFETY 10).
"""

from __future__ import annotations

import json
import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from bmc_healer.config.settings import WatchSettings
from bmc_healer.errors import HealerError

from .child import ChildLost, WatchChild
from .ledger import Ledger
from .payload import trigger

RESTART_SECONDS = (1.0, 5.0, 15.0, 60.0)  # between starts; the last one stays
STEADY_SECONDS = 300.0  # a process that lived this long is started again without a pause
SILENT_SECONDS = 300.0  # it gives a sign of life every few seconds
BACKLOG = 1000  # lines waiting for the datastore; more stay in the pipe, and the watch waits
CHECK_SECONDS = 15.0  # between looks for acknowledgements and overdue heals
LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


class SensorService(Protocol):
    """What StackStorm and packrunner hand a sensor; it is the datastore as well."""

    def dispatch(self, trigger: str, payload: dict[str, Any]) -> Any:
        """Emit a trigger; None also when it was dropped."""
        ...


class Bridge:
    """:param kind: `kipmi` or `bmc`; the latter also looks for overdue heals
    :param service: the sensor's service
    """

    def __init__(
        self,
        kind: str,
        service: Any,
        config: dict[str, Any],
        logger: logging.Logger,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._kind = kind
        self._service: SensorService = service
        self._config = config
        self._logger = logger
        self._clock = clock
        self._settings = _watch_settings(config)
        self._ledger = Ledger(kind, service, clock)
        self._child: WatchChild | None = None
        self._lines: deque[dict[str, Any]] = deque()
        self._starts = 0
        self._started = self._next_start = self._heard = self._checked = 0.0
        self._trouble = ""
        self._told_overdue: dict[str, float] = {}

    def poll(self) -> None:
        """One turn; lasts no longer than the datastore's answers."""
        try:
            self._turn()
            self._trouble = ""
        except ChildLost as lost:
            self._restart(f"the watch process is lost: {lost}")
        except HealerError as error:
            self._tell_trouble(error.sentence)
        except Exception as error:  # noqa: BLE001 (an exception out of poll() ends a StackStorm sensor)
            self._tell_trouble(f"unexpected {type(error).__name__}: {error}")

    def close(self) -> None:
        """End the watch process; where nobody calls this, the end of this process does the same."""
        if self._child is not None:
            self._child.stop()
            self._child = None

    def _turn(self) -> None:
        now = self._clock()
        if self._child is None and now >= self._next_start:
            self._start(now)
        if self._child is not None:
            self._child.flush()
            if len(self._lines) < BACKLOG:
                self._hear(self._child.read(), now)
            if now - self._heard > SILENT_SECONDS:
                raise ChildLost(f"no sign of life for {SILENT_SECONDS:.0f} s")
        while self._lines:
            self._take(self._lines[0])
            self._lines.popleft()
        if now - self._checked >= CHECK_SECONDS:
            self._check(now)
            self._checked = now

    def _start(self, now: float) -> None:
        self._next_start = now + RESTART_SECONDS[min(self._starts, len(RESTART_SECONDS) - 1)]
        self._starts += 1
        first: dict[str, Any] = {"config": self._config, "state": self._ledger.documents()}
        if self._kind == "bmc":
            first |= {
                "secrets": self._ledger.secrets(self._config),
                "stopped": self._ledger.refused_credentials(),
            }
        self._child = WatchChild(self._kind, first)
        self._started = self._heard = now

    def _restart(self, why: str) -> None:
        self.close()
        now = self._clock()
        if now - self._started >= STEADY_SECONDS:
            self._starts, self._next_start = 0, now
        self._logger.error("%s; it is started again", why)

    def _hear(self, lines: list[bytes], now: float) -> None:
        for data in lines:
            self._heard = now
            try:
                line = json.loads(data)
            except ValueError:
                line = None
            if not isinstance(line, dict):  # a traceback, or a warning of some library
                self._logger.warning("watch process: %s", data.decode(errors="replace")[:500])
            elif "log" in line:
                self._logger.log(LEVELS.get(line["log"], logging.INFO), "%s", line["text"])
            elif "beat" not in line:
                self._lines.append(line)

    def _take(self, line: dict[str, Any]) -> None:
        try:
            self._ledger.take(line)
        except (KeyError, TypeError, ValueError) as error:  # it would be no better the next time
            self._logger.error("a line of the watch process cannot be kept (%r): %s", error, line)
        if name := line.get("trigger"):
            self._service.dispatch(trigger=name, payload=line["payload"])
            self._logger.info("%s: %s", name, json.dumps(line["payload"]))

    def _check(self, now: float) -> None:
        keys = self._ledger.newly_acknowledged()
        if keys and self._child is not None:
            self._child.send({"acknowledged": keys})
        if self._kind != "bmc":
            return
        late = {item.lock.incident: item for item in self._ledger.overdue(self._settings)}
        self._told_overdue = {key: at for key, at in self._told_overdue.items() if key in late}
        for key, item in late.items():
            if now - self._told_overdue.get(key, 0.0) >= self._settings.repeat_seconds:
                self._take(trigger("heal.overdue", item.payload(now)))
                self._told_overdue[key] = now

    def _tell_trouble(self, trouble: str) -> None:
        """Once, not at every poll."""
        if trouble != self._trouble:
            self._trouble = trouble
            self._logger.error("%s", trouble)


def _watch_settings(config: dict[str, Any]) -> WatchSettings:
    """The marks for this process; a configuration that is wrong is told by the watch process."""
    try:
        return WatchSettings(**(config.get("watch") or {}))
    except (AttributeError, TypeError):
        return WatchSettings()
