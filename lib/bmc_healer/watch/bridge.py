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
from bmc_healer.executions import Executions

from .child import ChildLost, WatchChild
from .ledger import Ledger
from .members import NOTHING, Member
from .overdue import Overdue, Telling
from .payload import trigger
from .share import Share

RESTART_SECONDS = (1.0, 5.0, 15.0, 60.0)  # between starts; the last one stays
STEADY_SECONDS = 300.0  # a process that lived this long is started again without a pause
SILENT_SECONDS = 300.0  # it gives a sign of life every few seconds
BACKLOG = 1000  # lines waiting for the datastore; more stay in the pipe, and the watch waits
CHECK_SECONDS = 15.0  # between looks for acknowledgements, overdue heals and another configuration
LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


class Engine(Protocol):
    """What a sensor must do itself in StackStorm; what it does belongs beside the sensors."""

    def configuration(self) -> dict[str, Any]:
        """As it is now: a running sensor is never told that it has changed."""
        ...

    def dispatcher(self) -> Callable[..., Any]:
        """A new way for `dispatch`: one that lost its connection may have lost it for good."""
        ...

    def executions(self, service: Any) -> Executions:
        """The engine's executions, asked as `service`, the sensor's, may ask."""
        ...


class Bridge:
    """:param kind: `kipmi` or `bmc`; the latter also looks for overdue heals and for messages that wait
    :param service: the sensor's service: a datastore, and the first `dispatch`
    :param engine: None where all this is done for us (packrunner)
    :param steady: seconds of a clock that nobody sets: how long ago something was
    :param me: which of several sensors that share a fleet; None: as this process tells
    """

    def __init__(
        self,
        kind: str,
        service: Any,
        config: dict[str, Any],
        logger: logging.Logger,
        *,
        engine: Engine | None = None,
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
        me: Member | None = None,
    ) -> None:
        self._kind = kind
        self._service = service
        self._send: Callable[..., Any] = service.dispatch
        self._config = config
        self._logger = logger
        self._engine = engine
        self._steady = steady
        self._settings = _watch_settings(config)
        self._ledger = Ledger(kind, service, clock, me, steady=steady)
        self._members = self._ledger.members
        self._share: Share = NOTHING  # as the watch process knows it
        self._child: WatchChild | None = None
        self._lines: deque[dict[str, Any]] = deque()
        self._starts = 0
        self._started = self._next_start = self._heard = self._checked = 0.0
        self._trouble = self._unreadable = self._blind = ""
        self._overdue, self._untold = Telling(), Telling()

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
        now = self._steady()
        if self._child is not None:
            self._child.flush()
            if len(self._lines) < BACKLOG:
                self._hear(self._child.read(), now)
            if now - self._heard > SILENT_SECONDS:
                raise ChildLost(f"no sign of life for {SILENT_SECONDS:.0f} s")
        self._renew_share()
        if self._child is None and now >= self._next_start:
            self._start(now).flush()
        while self._lines:
            self._take(self._lines[0])
            self._lines.popleft()
        if now - self._checked >= CHECK_SECONDS:
            self._check(now)
            self._checked = now
            self._read_again()

    def _renew_share(self) -> None:
        """Before a line is taken: what was found of a host that another watches by now is not told."""
        try:
            if self._members.due():
                self._members.renew()
        except HealerError:
            self._members.let_go()
            if self._members.share == NOTHING:
                self._hand_over({})
            raise
        if self._members.share != self._share:
            if self._members.others or self._share != NOTHING:  # who is alone from the start need not say so
                self._logger.info("%s", self._members.sentence())
            self._hand_over(self._ledger.documents() if self._child is not None else {})

    def _hand_over(self, state: dict[str, Any]) -> None:
        """Tell the watch process which part of the fleet is its, and what was known of it."""
        if self._child is not None and self._members.share != self._share:
            self._child.send({"share": _listed(self._members.share), "state": state})
            self._child.flush()
        self._share = self._members.share

    def _start(self, now: float) -> WatchChild:
        self._next_start = now + RESTART_SECONDS[min(self._starts, len(RESTART_SECONDS) - 1)]
        self._starts += 1
        first: dict[str, Any] = {"config": self._config, "state": self._ledger.documents()}
        first["share"] = _listed(self._members.share)
        if self._kind == "bmc":
            first |= {
                "secrets": self._ledger.secrets(self._config),
                "stopped": self._ledger.refused_credentials(),
            }
        self._child = WatchChild(self._kind, first)
        self._started = self._heard = now
        return self._child

    def _restart(self, why: str) -> None:
        self.close()
        now = self._steady()
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
                self._put(line)

    def _put(self, line: dict[str, Any]) -> None:
        """A repetition takes the place of what could not be told until now."""
        if name := line.get("trigger"):
            key = (name, line["payload"].get("key"))
            waiting = [w for w in self._lines if (w.get("trigger"), w.get("payload", {}).get("key")) != key]
            self._lines = deque(waiting)
        self._lines.append(line)

    def _take(self, line: dict[str, Any]) -> None:
        if not self._ledger.concerns(line):
            return
        try:
            self._ledger.take(line)
        except (KeyError, TypeError, ValueError) as error:  # it would be no better the next time
            self._logger.error("a line of the watch process cannot be kept (%r): %s", error, line)
        if name := line.get("trigger"):
            self._dispatch(name, line["payload"])
            self._logger.info("%s: %s", name, json.dumps(line["payload"]))

    def _dispatch(self, name: str, payload: dict[str, Any]) -> None:
        """:raises HealerError: it did not get out; its line is kept, and tried at the next poll"""
        try:
            self._send(trigger=name, payload=payload)
        except Exception as error:  # whatever the engine's transport raises
            if self._engine is not None:
                self._send = self._engine.dispatcher()
            raise HealerError(
                f"{name} could not be dispatched: {type(error).__name__}: {str(error)[:200]}",
                do="It is kept and tried again; check the message bus",
            ) from error

    def _check(self, now: float) -> None:
        keys = self._ledger.newly_acknowledged()
        if keys and self._child is not None:
            self._child.send({"acknowledged": keys})
        if self._kind != "bmc":
            return
        late = [*self._ledger.overdue(self._settings), *self._lost()]
        for item in self._overdue.due(late, self._settings.repeat_seconds, now):
            self._take(trigger("heal.overdue", item.payload(now)))
        for untold in self._untold.due(self._ledger.untold(), self._settings.repeat_seconds, now):
            self._take(trigger("chat.waiting", untold.payload(now)))

    def _lost(self) -> list[Overdue]:
        """Where the engine cannot be asked, heals without a lock are not looked for; those with one are."""
        if self._engine is None:
            return []
        try:
            found = self._ledger.lost(self._engine.executions(self._service), self._settings)
            self._blind = ""
        except Exception as error:  # noqa: BLE001 (whatever the engine's own client raises)
            why = error.sentence if isinstance(error, HealerError) else type(error).__name__
            if why != self._blind:
                self._blind = why
                self._logger.warning("heals that died before they began cannot be looked for: %s", why)
            return []
        return found

    def _read_again(self) -> None:
        """Start the watch anew with a configuration that was changed; the last one may be of no use."""
        if self._engine is None:
            return
        try:
            config = self._engine.configuration()
            self._unreadable = ""
        except Exception as error:  # noqa: BLE001 (a datastore key that it names is missing, the database is away)
            why = f"{type(error).__name__}: {str(error)[:300]}"
            if why != self._unreadable:
                self._unreadable = why
                self._logger.warning("the configuration cannot be read again, the last one holds: %s", why)
            return
        if config != self._config:
            self._logger.info("the configuration has changed: the watch starts anew with it")
            self._config, self._settings = config, _watch_settings(config)
            self.close()
            self._starts, self._next_start = 0, 0.0

    def _tell_trouble(self, trouble: str) -> None:
        """Once, not at every poll."""
        if trouble != self._trouble:
            self._trouble = trouble
            self._logger.error("%s", trouble)


def _listed(share: Share) -> list[str] | None:
    return None if share is None else sorted(share)


def _watch_settings(config: dict[str, Any]) -> WatchSettings:
    """The marks for this process; a configuration that is wrong is told by the watch process."""
    try:
        return WatchSettings(**(config.get("watch") or {}))
    except (AttributeError, TypeError):
        return WatchSettings()
