"""The sign of life of an acting process (SAFETY 6), and when its absence makes a heal overdue."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from dataclasses import asdict
from types import TracebackType

from bmc_healer.errors import StateError
from bmc_healer.state import keys
from bmc_healer.state.documents import Heartbeat, Lock
from bmc_healer.state.refs import HealRef
from bmc_healer.state.stamp import Elapsed
from bmc_healer.state.store import Store
from bmc_healer.state.views import FleetState, HostState

INTERVAL_SECONDS = 30.0
MISSED_LIMIT = 3  # renewals; then nothing is sent any more, and soon tidy takes over
KEEP_SECONDS = 86400.0
LEAVE_SECONDS = 2.0  # a renewal under way may end; one that hangs is left behind

log = logging.getLogger(__name__)


def key(host: str, incident: str) -> str:
    """One per heal: a process that survived its heal does not speak for the next one."""
    return keys.key(keys.host(host), "heartbeat", incident)


class Pulse:
    """Context manager: renews the heartbeat of `ref` in a thread until it is left.

    Entering writes the first one and raises StateError when that fails.

    :param orphaned: whether the engine's process that started this one has died. The result will reach
        nobody, so the heal has ended, however long it waits for the BMC: it falls silent
    """

    def __init__(
        self,
        store: Store,
        ref: HealRef,
        owner: str,
        clock: Callable[[], float],
        steady: Callable[[], float],
        interval: float,
        orphaned: Callable[[], bool] = lambda: False,
    ) -> None:
        self._store = store
        self._ref = ref
        self._owner = owner
        self._clock, self._steady = clock, steady
        self._interval = interval
        self._renewed = Elapsed(clock, steady)
        self._orphaned = orphaned
        self._left = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"heartbeat {ref.mark}", daemon=True)

    @property
    def missed(self) -> bool:
        """No renewal came through for so long that others will take this heal for dead.

        Goes by the time of the last one that did: a datastore that hangs and a thread that died count too.
        """
        return self._renewed.seconds() > MISSED_LIMIT * self._interval

    def __enter__(self) -> Pulse:
        self._renew()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._left.set()
        self._thread.join(LEAVE_SECONDS)

    def _renew(self) -> None:
        renewed = Elapsed(self._clock, self._steady)
        beat = Heartbeat(self._ref.incident, self._clock(), self._owner, os.getpid())
        self._store.write(key(self._ref.host, self._ref.incident), asdict(beat), ttl=KEEP_SECONDS)
        self._renewed = renewed

    def _run(self) -> None:
        while not self._left.wait(self._interval):
            if self._orphaned():
                return
            try:
                self._renew()
            except StateError as error:
                log.warning("heartbeat of %s was not renewed: %s", self._ref.incident, error)


def last_sign(lock: Lock, host: HostState) -> float:
    """When the heal that holds `lock` was last known to be alive."""
    beats = [beat.at for beat in host.heartbeats if beat.incident == lock.incident]
    return max([lock.taken_at, *beats])


def overdue(lock: Lock, host: HostState, now: float, limit: float) -> bool:
    """Nobody acts for this heal any more, whatever the engine says.

    :param limit: seconds, `watch.overdue_seconds`
    """
    return now - last_sign(lock, host) > limit


def overdue_locks(
    fleet: FleetState, host: Callable[[str], HostState], now: float, limit: float
) -> tuple[Lock, ...]:
    """The locks that `heal.overdue` is to be told about; `host` reads the state of one host."""
    return tuple(lock for lock in fleet.locks if overdue(lock, host(lock.host), now, limit))
