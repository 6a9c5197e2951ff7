"""tidy: finish a heal that nobody acts for any more, without trusting what the engine says of it.

Order matters (SAFETY 6): the fence first, so that a deed that still lives sends nothing more; then what is
stuck is cancelled; the lock is freed last, and only when no deed may still happen.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bmc_healer import messages, telling
from bmc_healer.config.settings import HostSettings
from bmc_healer.errors import HealerError, HostAccessError, UnknownHostError
from bmc_healer.executions import clock_skew
from bmc_healer.host import lease
from bmc_healer.host.observe import observe
from bmc_healer.state.documents import Lock
from bmc_healer.state.heartbeat import overdue
from bmc_healer.verbs.end_heal import close, died
from bmc_healer.verbs.runtime import Runtime


def tidy(rt: Runtime, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Tidy up after an overdue heal of one host.

    :param parameters: host; `host_is_gone`: a person says that nothing can run on it any more
    :returns: `sentence`, `freed` (the lock), `outcome`; a heal that is alive is left alone
    """
    host, known = _host(rt, str(parameters["host"]))
    lock = rt.state.fleet().holder(host.name, None)
    if lock is None:
        telling.flush(rt)
        return _said(host, "No heal holds this host: there is nothing to tidy.", freed=True)
    if not _clock_fits(rt):
        return _said(
            host, "This machine's clock is not the engine's: nobody's heartbeat is judged.", freed=False
        )
    if not overdue(lock, rt.state.host(host.name), rt.clock(), rt.config.watch.overdue_seconds):
        return _said(host, f"Heal {lock.incident} is alive: it is left alone.", freed=False)
    rt.state.raise_fence(host.name, of=lock.incident)
    cancelled = _cancel(rt, lock)
    incident = rt.state.incident(lock.incident)
    if incident is not None and not incident["outcome"]:
        close(rt, incident, died(rt, incident, str(incident["next"].get("task") or "begin_heal")))
        telling.tell(rt, *messages.ended(incident))
    left = _left_on_host(rt, host, lock, known=known, host_is_gone=bool(parameters.get("host_is_gone")))
    why_not = rt.state.free_lock(lock, no_marked_process_left=not left)
    if why_not:
        return _said(host, f"Heal {lock.incident} is ended, its lock stays: {left or why_not}", freed=False)
    telling.flush(rt)
    sentence = f"Heal {lock.incident} had died and is ended; {cancelled} executions were cancelled."
    return _said(host, f"{sentence} Its lock is free.", freed=True)


def _host(rt: Runtime, name: str) -> tuple[HostSettings, bool]:
    """The host, and whether it is configured: it may have been taken out while a heal held it.

    :raises UnknownHostError: neither configured nor held
    """
    try:
        return rt.host(name), True
    except UnknownHostError:
        lock = rt.state.fleet().holder(name.lower(), None)
        if lock is None:
            raise
        return HostSettings(lock.host, lock.host, "none"), False


def _clock_fits(rt: Runtime) -> bool:
    """A runner whose clock is ahead would take living heals for dead."""
    if rt.executions is None:
        return False
    skew = clock_skew(rt.executions, rt.clock())
    return skew is not None and abs(skew) <= rt.config.guardrails.clock_skew_seconds


def _cancel(rt: Runtime, lock: Lock) -> int:
    """Cancel the workflow and its tasks that still run for the engine; their deeds are held by the fence."""
    if rt.executions is None or not lock.execution:
        return 0
    count = 0
    try:
        for execution in (rt.executions.get(lock.execution), *rt.executions.children(lock.execution)):
            if execution is not None and not execution.ended:
                rt.executions.cancel(execution.id)
                count += 1
    except HealerError as error:
        rt.logger.warning("%s", error.sentence)
    return count


def _left_on_host(rt: Runtime, host: HostSettings, lock: Lock, *, known: bool, host_is_gone: bool) -> str:
    """What this heal has left running on the host, or why that cannot be seen; empty when nothing is left."""
    on_host = any(
        intent.rung != "oob"
        for intent in rt.state.host(host.name).intents
        if intent.incident == lock.incident
    )
    if not on_host or host_is_gone:
        return ""
    if not known:
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
            left = [c for c in facts.clients if c.mark and c.mark.startswith(f"{lock.incident}:")]
            if left:
                return (
                    f"its {left[0].program} (pid {left[0].pid}, state {left[0].state}) is still on the host."
                )
            lease.give_back(access, owner=rt.owner(), incident=lock.incident)
    except HostAccessError as error:
        return f"whether its processes are gone cannot be seen: {error.sentence}"
    return ""


def _said(host: HostSettings, sentence: str, *, freed: bool) -> dict[str, Any]:
    return {"sentence": f"{host.name}: {sentence}", "host": host.name, "freed": freed, "ok": freed}
