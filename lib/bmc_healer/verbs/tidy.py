"""tidy: finish a heal that nobody acts for any more, without trusting what the engine says of it.

Order matters (SAFETY 6): the fence first, so that a deed that still lives sends nothing more; then what is
stuck is cancelled; the lock is freed last, and only when no deed may still happen.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bmc_healer import messages, telling
from bmc_healer.config.settings import HostSettings
from bmc_healer.errors import HealerError, HostAccessError, StateError, UnknownHostError
from bmc_healer.executions import clock_skew
from bmc_healer.host import lease
from bmc_healer.host.clients import left_by
from bmc_healer.host.observe import observe
from bmc_healer.state.documents import Lock
from bmc_healer.state.heartbeat import overdue
from bmc_healer.state.lost import LostHeal, lost_heals
from bmc_healer.state.stamp import utc
from bmc_healer.verbs.end_heal import close, died, walked
from bmc_healer.verbs.runtime import Runtime

RECENT = 20  # incidents of the host among which that of a lost heal is looked for


def tidy(rt: Runtime, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Tidy up after the heals of one host that have died: the one that holds it, and those without a lock.

    :param parameters: host; `host_is_gone`: a person says that nothing can run on it any more
    :returns: `sentence`, `freed` (the lock), `outcome`; a heal that is alive is left alone
    """
    name = str(parameters["host"]).lower()
    clock_fits = _clock_fits(rt)
    lost = _lost(rt, name) if clock_fits else ()
    host, known = _host(rt, name, needed=bool(lost))
    for heal in lost:
        _end_lost(rt, host, heal)
    found = f"Died without a lock, and ended now: {len(lost)}. " if lost else ""
    lock = rt.state.fleet().holder(host.name, None)
    if lock is None:
        telling.flush(rt)
        nothing = "No heal holds this host: there is nothing to tidy."
        return _said(host, found.strip() or nothing, freed=True)
    if not clock_fits:
        return _said(
            host, "This machine's clock is not the engine's: nobody's heartbeat is judged.", freed=False
        )
    if not overdue(lock, rt.state.host(host.name), rt.clock(), rt.config.watch.overdue_seconds):
        return _said(host, f"{found}Heal {lock.incident} is alive: it is left alone.", freed=False)
    rt.state.raise_fence(host.name, of=lock.incident)
    cancelled, count = _cancel(rt, lock.execution)
    _finish(rt, host, lock.incident, cancelled=cancelled)
    left = _left_on_host(rt, host, lock, known=known, host_is_gone=bool(parameters.get("host_is_gone")))
    why_not = rt.state.free_lock(lock, no_marked_process_left=not left)
    if why_not:
        return _said(host, f"Heal {lock.incident} is ended, its lock stays: {left or why_not}", freed=False)
    telling.flush(rt)
    sentence = f"{found}Heal {lock.incident} had died and is ended; {count} executions were cancelled."
    return _said(host, f"{sentence} Its lock is free.", freed=True)


def _host(rt: Runtime, name: str, *, needed: bool) -> tuple[HostSettings, bool]:
    """The host, and whether it is configured: it may have been taken out while a heal held it.

    :param needed: a heal of it has to be ended, whether it is configured or not
    :raises UnknownHostError: neither configured, nor held, nor needed
    """
    try:
        return rt.host(name), True
    except UnknownHostError:
        if not needed and rt.state.fleet().holder(name, None) is None:
            raise
        return HostSettings(name, name, "none"), False


def _finish(rt: Runtime, host: HostSettings, incident_id: str, *, cancelled: bool) -> None:
    """Write the end of the incident, unless it has one, and tell it, unless chat has heard it."""
    incident = rt.state.incident(incident_id)
    if incident is None:
        sentence = f"The heal {incident_id} died before it had looked at the host; nothing was sent."
        telling.tell(rt, *messages.refused(host.name, "refused", sentence))
        return
    due = str(incident["next"].get("task") or "begin_heal")
    if not incident["outcome"]:
        if due == "finish_heal":  # it was walked to its end: what the gates saw is true all the same
            ending = walked(rt, host, incident)
        else:
            ending = died(rt, incident, due, cancelled=cancelled)
        close(rt, incident, ending)
    telling.tell_end(rt, incident)


def _lost(rt: Runtime, name: str) -> tuple[LostHeal, ...]:
    limit = rt.config.watch.overdue_seconds
    try:
        assert rt.executions is not None  # noqa: S101 - its clock was asked
        return lost_heals(rt.executions, rt.state.fleet().locks, rt.state.host, rt.clock(), limit, only=name)
    except StateError as error:
        rt.logger.warning("%s", error.sentence)
        return ()


def _end_lost(rt: Runtime, host: HostSettings, heal: LostHeal) -> None:
    """End a heal that holds no lock, and so has sent nothing, or has given it back."""
    cancelled, _ = _cancel(rt, heal.run.id)
    of_it = [one for one in rt.state.incidents(RECENT, host.name) if one.get("execution") == heal.run.id]
    if of_it:
        _finish(rt, host, of_it[0]["id"], cancelled=cancelled)
        return
    sentence = (
        f"The heal that was asked for at {utc(heal.run.since)} died before it began (execution "
        f"{heal.run.id}); nothing was sent. A sensor asks again by itself, a person has to."
    )
    telling.tell(rt, *messages.refused(host.name, "refused", sentence))


def _clock_fits(rt: Runtime) -> bool:
    """A runner whose clock is ahead would take living heals for dead."""
    if rt.executions is None:
        return False
    skew = clock_skew(rt.executions, rt.clock())
    return skew is not None and abs(skew) <= rt.config.guardrails.clock_skew_seconds


def _cancel(rt: Runtime, execution: str) -> tuple[bool, int]:
    """Cancel a workflow and its tasks that still run for the engine; their deeds are held by the fence.

    :returns: whether somebody had cancelled it before, and how many were cancelled now
    """
    if rt.executions is None or not execution:
        return False, 0
    before, count = "", 0
    try:
        run = rt.executions.get(execution)
        before = run.status if run else ""
        for one in (run, *rt.executions.children(execution)):
            if one is not None and not one.ended:
                rt.executions.cancel(one.id)
                count += 1
    except HealerError as error:
        rt.logger.warning("%s", error.sentence)
    return before in ("canceling", "canceled"), count


def _left_on_host(rt: Runtime, host: HostSettings, lock: Lock, *, known: bool, host_is_gone: bool) -> str:
    """What this heal has left running on the host, or why that cannot be seen; empty when nothing is left."""
    on_host = any(
        intent.rung != "oob"
        for intent in rt.state.host(host.name).intents
        if intent.incident == lock.incident
    )
    if host_is_gone:
        return ""
    if not known and on_host:
        return "the host is not configured any more, so nobody can look; tidy with host_is_gone frees it."
    if host.transport == "none":
        return ""
    try:
        with rt.access(host) as access:
            facts = observe(
                access,
                windows=1,
                window_seconds=1.0,
                clock=rt.clock,
                sleep=rt.sleep,
            )
            if left := left_by(facts, lock.incident):
                return f"{left}."
            lease.give_back(access, owner=rt.owner(), incident=lock.incident)
    except HostAccessError as error:
        if on_host:
            return f"whether its processes are gone cannot be seen: {error.sentence}"
        rt.logger.warning("%s", error.sentence)
    return ""


def _said(host: HostSettings, sentence: str, *, freed: bool) -> dict[str, Any]:
    return {"sentence": f"{host.name}: {sentence}", "host": host.name, "freed": freed, "ok": freed}
