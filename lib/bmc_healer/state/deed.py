"""A deed: intent before, one last look directly before sending, result after (SAFETY 3 and 6)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import asdict, replace
from types import TracebackType
from typing import Any

from bmc_healer.errors import HealerError, StateError
from bmc_healer.executions import Executions
from bmc_healer.rungs.outcome import DeedRefusedError
from bmc_healer.state import keys
from bmc_healer.state.documents import Lock, PastHeal
from bmc_healer.state.heartbeat import Pulse
from bmc_healer.state.refs import HealRef, Intent
from bmc_healer.state.stamp import Elapsed, utc
from bmc_healer.state.store import Store
from bmc_healer.state.views import FleetState, HostState, collides, fleet_view, host_view
from bmc_healer.targets import subject

CLOSED_SECONDS = 86400.0
HOUR = 3600.0
WEEK = 7 * 86400.0

# The workflow's statuses in which its actions may act. Paused or canceling: a person wants it to stop.
# Rungs that reset the BMC: while the outcome of one is unknown, no second one of its kind is sent.
RESETS = frozenset({"inband", "oob"})

ACTING = frozenset({"running", "resuming"})


class Deed:
    """Context manager around one rung; made by `HealState.deed`.

    Left without `result()` after a `may_send()` that let it pass, the intent stays open: "may have happened".
    """

    def __init__(
        self,
        store: Store,
        ref: HealRef,
        intent: Intent,
        pulse: Pulse,
        executions: Executions | None,
        checks: Callable[[], str | None],
        clock: Callable[[], float],
        steady: Callable[[], float],
    ) -> None:
        self.intent = intent
        self._store = store
        self._ref = ref
        self._pulse = pulse
        self._executions = executions
        self._checks = checks
        self._clock = clock
        self._elapsed = Elapsed(clock, steady)
        self._let_pass = False

    def may_send(self) -> None:
        """Return only when the deed may be sent now; to be called directly before each command that changes
        something.

        :raises DeedRefusedError: with the sentence why not; what cannot be checked counts as broken
        """
        try:
            # The state counts the heal from here on: last but for the time, which everything before it takes.
            objection = self._checks() or self._execution() or self._state() or self._time()
        except HealerError as error:
            objection = f"what must be checked before it could not be: {error.sentence}"
        if objection:
            nothing = "nothing more" if self._let_pass else "nothing"
            raise DeedRefusedError(f"The rung {self.intent.rung} sent {nothing}: {objection.rstrip('.')}.")
        self._let_pass = True

    def result(self, evidence: dict[str, Any]) -> None:
        """The deed has ended, however it went; closes the intent.

        :raises StateError: it could not be written; the intent stays open
        """
        self._close(evidence)

    def __enter__(self) -> Deed:
        with ExitStack() as on_failure:
            on_failure.enter_context(self._pulse)
            self._store.write(self.intent.key, asdict(self.intent))
            on_failure.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pulse.__exit__(kind, error, trace)
        if not self._let_pass and self.intent.result is None:
            with suppress(StateError):  # an open intent of a deed that was not sent costs a wait, no harm
                self._close({"sent": False})

    def _close(self, result: dict[str, Any]) -> None:
        closed = replace(self.intent, result=result)
        self._store.write(closed.key, asdict(closed), ttl=CLOSED_SECONDS)
        self.intent = closed

    def _state(self) -> str | None:
        """One reading of each prefix."""
        ref = self._ref
        fleet = fleet_view(self._store.read(keys.FLEET))
        host = host_view(ref.host, self._store.read(keys.host(ref.host)))
        lock = fleet.lock_of(ref.incident)
        if lock is None or lock.host != ref.host:
            return f"incident {ref.incident} does not hold the lock any more"
        objection = self._ownership(lock, fleet, host) or self._stop_signs(lock, fleet)
        if objection is None:
            self._remember_heal(lock, fleet)
        return objection

    def _ownership(self, lock: Lock, fleet: FleetState, host: HostState) -> str | None:
        ref = self._ref
        rival = next((o for o in fleet.locks if o != lock and collides(o, ref.host, ref.bmc_address)), None)
        if rival:
            return f"incident {rival.incident} holds a lock on the same host or BMC"
        if (host.fence.number, host.fence.incident) != (ref.fence, ref.incident):
            return f"its fence number {ref.fence} was overtaken by {host.fence.number}, as for a dead heal"
        if all(intent.key != self.intent.key for intent in host.open_intents):
            return "its intent is not open any more"
        return self._already(host)

    def _already(self, host: HostState) -> str | None:
        """Once (SAFETY 3): a reset of the same kind may have happened, and nobody has looked since.

        A heal sends each kind once at most. That a task comes in its turn only does not see to it: two
        processes that are given the same task at once both find that it is its turn.
        """
        if self.intent.rung not in RESETS:
            return None
        for other in host.open_intents:
            if other.rung == self.intent.rung and other.key != self.intent.key:
                return (
                    f"an earlier {other.rung} reset ({other.incident}, {utc(other.written_at)}) is still open"
                )
        for other in host.intents:
            sent = other.result is not None and other.result.get("sent", True)
            if sent and (other.rung, other.incident) == (self.intent.rung, self._ref.incident):
                return f"this heal has sent its {other.rung} reset already, at {utc(other.written_at)}"
        return None

    def _stop_signs(self, lock: Lock, fleet: FleetState) -> str | None:
        pause = fleet.pause_of(lock.host, lock.labels, self._clock())
        if pause:
            who = subject(pause.target, lock.host)
            return f"{who} is paused by {pause.by} since {utc(pause.since)}: {pause.reason}"
        outage = fleet.mass_outage_of(lock.host, lock.labels, self._clock())
        if outage:
            return (
                f"a mass outage of {outage.label} ({len(outage.hosts)} hosts) was seen at {utc(outage.since)}"
            )
        return "its heartbeat could not be renewed" if self._pulse.missed else None

    def _execution(self) -> str | None:
        if not self._ref.execution:
            return None
        if self._executions is None:
            return f"whether execution {self._ref.execution} was cancelled cannot be asked"
        execution = self._executions.get(self._ref.execution)
        if execution is None:
            return f"execution {self._ref.execution} is unknown to the engine"
        if execution.status not in ACTING:
            return f"execution {self._ref.execution} is {execution.status}"
        return None

    def _remember_heal(self, lock: Lock, fleet: FleetState) -> None:
        """From its first deed on a heal counts for cooldown and budgets, if it resets; written before it is
        sent.
        """
        if any(heal.incident == lock.incident for heal in fleet.heals):
            return
        heal = PastHeal(lock.incident, lock.host, lock.labels, self._clock(), lock.resets)
        self._store.write(keys.key(keys.host(lock.host), "heal", lock.incident), asdict(heal), ttl=WEEK)
        self._store.write(keys.key(keys.FLEET, "heal", lock.incident), asdict(heal), ttl=HOUR)

    def _time(self) -> str | None:
        """Last, see `may_send`."""
        late = self._elapsed.seconds() - (self.intent.not_after - self.intent.written_at)
        return f"it came {late:.0f} s too late" if late > 0 else None
