"""``PackRunner``: a pack, its configuration and a state directory, run on this machine.

::

    runner = PackRunner(Path("."), config={"mode": "observe"}, state_dir=Path("/var/lib/my_pack"))
    execution = runner.run_action("my_pack.my_workflow", {"host": "db01"}, user="me")
    print(execution.status, execution.output)
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from packrunner import events
from packrunner.aliases import ChatReply, acknowledge, conclude, match, order
from packrunner.api import Api
from packrunner.config import check_config, resolve_config
from packrunner.database import FILE_NAME, Database, exclusive, prune, write_private
from packrunner.datastore import Datastore
from packrunner.errors import AlreadyServingError
from packrunner.events import Event, Events
from packrunner.execution import Execution
from packrunner.executions import Executions
from packrunner.executor import Executor, Order
from packrunner.history import History
from packrunner.launcher import base_environment
from packrunner.loader import load_pack
from packrunner.pool import Pool
from packrunner.python_action import Surroundings
from packrunner.sensors import SensorSetting, SensorSupervisor
from packrunner.templates import datastore_context
from packrunner.triggers import Dispatcher, TriggerInstance

LOG = logging.getLogger(__name__)

# A workflow may take half an hour: too few workers, and what tidies up after a stuck one would wait for it.
DEFAULT_WORKERS = 20
_KEEP_SECONDS = 90 * 24 * 3600.0  # how long history is kept
_WATCH_SECONDS = 1.0
_PRUNE_EVERY = 3600  # in units of _WATCH_SECONDS
_WAIT_SECONDS = 0.5  # how long a wait lasts before the interpreter may deliver a signal


class PackRunner:
    """Runs one pack. Several runners, also in several processes, may share a state directory.

    :param pack_dir: the pack's directory, with pack.yaml in it
    :param config: the pack's configuration, checked against its config.schema.yaml
    :param state_dir: made with mode 0700; holds the database
    :param python: the interpreter that actions and sensors run with
    :param workers: how many executions of rules run at once
    :param on_event: called for everything that happens, in whatever thread it happened, one call at a time
    :raises PackError: the pack or the configuration is not valid
    """

    def __init__(
        self,
        pack_dir: Path,
        config: Mapping[str, Any],
        state_dir: Path,
        python: str = sys.executable,
        on_event: Callable[[Event], None] | None = None,
        workers: int = DEFAULT_WORKERS,
    ) -> None:
        self.pack = load_pack(pack_dir.resolve())
        self.config = check_config(self.pack, config)
        self._database = Database(state_dir / FILE_NAME)
        self.executions = Executions(History(self._database))
        """History: list, get, cancel."""
        self.datastore = Datastore(self._database)
        """The keys that actions and sensors see with ``local=False``."""
        self._listener = Events(on_event)
        self._token = secrets.token_urlsafe(32)
        self._api = Api(History(self._database), self._token)
        surroundings = Surroundings(python, self.config, self._api.url, self._token)
        self._executor = Executor(self.pack, self._database, surroundings, self._listener)
        self._dispatcher = Dispatcher(self._executor, self._database, Pool(workers), self._listener)
        self._python = python
        self._state_dir = state_dir
        for identity in self.executions.bury():
            LOG.warning("execution %s was running when its process died: abandoned", identity)

    def __enter__(self) -> PackRunner:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop the API. What still runs goes on until the calling process ends."""
        self._api.close()

    @property
    def api_url(self) -> str:
        """Of the loopback executions API."""
        return self._api.url

    @property
    def api_token(self) -> str:
        """For its header X-Auth-Token."""
        return self._token

    def run_action(
        self, ref: str, parameters: Mapping[str, Any] | None = None, *, user: str = "", wait: bool = True
    ) -> Execution:
        """Run an action or a workflow of the pack.

        With ``wait`` its end is returned; a KeyboardInterrupt leaves the wait, not the execution: cancel that
        by ``executions.cancel``. Without, the execution just begun.

        :raises UnknownActionError: no such action
        :raises ParameterError: the parameters do not fit
        """
        context = {"user": user, "pack": ref.partition(".")[0]}
        return self._start(Order(ref, parameters or {}, context), wait)

    def wait(self, execution_id: str, timeout: float | None = None) -> Execution:
        """Wait for the end of an execution of any process; ``timeout`` in seconds, None for ever.

        A workflow that has failed may have clean-up to do: of one in this process that is waited for too.

        :raises KeyError: no such execution
        """
        until = None if timeout is None else time.monotonic() + timeout
        while True:
            execution = self.executions.require(execution_id)
            ended = execution.final and execution_id not in self._executor.busy()
            if ended or (until is not None and time.monotonic() >= until):
                return execution
            time.sleep(0.1)

    def inject_trigger(self, ref: str, payload: Mapping[str, Any]) -> TriggerInstance:
        """Act as a sensor that dispatched this trigger; does not wait for what the rules start.

        :raises PayloadError: no such trigger, or the payload does not fit its schema
        """
        return self._dispatcher.accept(ref, dict(payload))

    def chat(self, text: str, user: str, on_ack: Callable[[str], None] | None = None) -> ChatReply:
        """Run what a chat message asks for, to its end; ``on_ack`` hears the acknowledgement at once.

        :raises AliasError: the text fits no alias, more than one, or sets what is pinned
        :raises ParameterError, UnknownActionError: the action refuses
        """
        found = match(self.pack.aliases, text)
        names = datastore_context(self._executor.lookup)
        begun = self._start(order(self.pack.ref, found, user, names), wait=False)
        ack = acknowledge(found.alias, begun)
        if on_ack and ack:
            on_ack(ack)
        ended = self.wait(begun.id)
        return ChatReply(ack, conclude(found.alias, ended), ended)

    def serve(self, stop: threading.Event) -> None:
        """Run the sensors, and what their triggers start, until ``stop`` is set.

        What still runs then is not ended: see ``drain``. Where the API listens, and its token, is in the file
        ``api.json`` (0600) of the state directory meanwhile.

        :raises AlreadyServingError: another process serves on this state directory
        """
        with exclusive(self._state_dir / "serve.lock") as alone:
            if not alone:
                raise AlreadyServingError(f"{self._state_dir}: another process runs the sensors of this pack")
            note = self._state_dir / "api.json"
            about = {"url": self._api.url, "token": self._token, "pid": os.getpid()}
            write_private(note, json.dumps(about))
            sensors = self._start_sensors()
            self._listener.emit(Event(events.STARTED, time.time(), detail={"url": self._api.url}))
            try:
                self._watch(stop)
            finally:
                for sensor in sensors:
                    sensor.stop()
                for sensor in sensors:
                    sensor.join()
                note.unlink(missing_ok=True)

    def _start_sensors(self) -> Sequence[SensorSupervisor]:
        config = resolve_config(self.config, self._executor.lookup)
        environment = {
            **base_environment(),
            "ST2_API_URL": self._api.url,
            "ST2_AUTH_TOKEN": self._token,
        }
        setting = SensorSetting(self._python, config, self._database.file, environment)
        return [
            SensorSupervisor(sensor, setting, self._dispatcher.dispatch, self._listener)
            for sensor in self.pack.sensors.values()
            if sensor.enabled
        ]

    def _watch(self, stop: threading.Event) -> None:
        """Until ``stop``: executions whose engine died are abandoned, and old ones forgotten."""
        while True:
            prune(self._database, time.time() - _KEEP_SECONDS)
            for _ in range(_PRUNE_EVERY):
                if stop.wait(_WATCH_SECONDS):
                    return
                self.executions.bury()

    def drain(self, timeout: float | None = None) -> Sequence[Execution]:
        """Wait until nothing that this process began runs any more.

        :param timeout: seconds, None for ever
        :returns: what still runs
        """
        until = None if timeout is None else time.monotonic() + timeout
        while True:
            left = [self.executions.require(identity) for identity in sorted(self._open())]
            if not left or (until is not None and time.monotonic() >= until):
                return left
            time.sleep(0.1)

    def _open(self) -> set[str]:
        return {execution.id for execution in self.executions.open_here()} | self._executor.busy()

    def _start(self, what: Order, wait: bool) -> Execution:
        prepared = self._executor.prepare(what)
        thread = self._executor.in_thread(prepared, lambda: self._executor.run(prepared))
        if wait:
            while thread.is_alive():
                thread.join(_WAIT_SECONDS)
        return self.executions.require(prepared.execution.id)


__all__ = ["ChatReply", "Event", "Execution", "PackRunner", "TriggerInstance", "events"]
