"""begin_heal: is a heal of this host allowed now? Takes the lock, or ends the heal with the reason.

On the host only its lease is looked at, and nothing is sent to its BMC here but sessionless pings.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from bmc_healer import blast, guardrails, messages
from bmc_healer.bmc.address import resolve
from bmc_healer.bmc.addresses import pinned
from bmc_healer.bmc.ping import sweep
from bmc_healer.config.settings import HostSettings, Mode
from bmc_healer.errors import BmcError, StateError, UnknownHostError
from bmc_healer.executions import clock_skew
from bmc_healer.host.lease import ForeignLease
from bmc_healer.plan import BRING_BACK, RUNGS
from bmc_healer.state.heartbeat import overdue
from bmc_healer.state.recovery import incident_key
from bmc_healer.state.refs import HealRef, HostMemory, Refusal
from bmc_healer.state.stamp import utc
from bmc_healer.state.views import HostState
from bmc_healer.verbs.first_look import FirstLook
from bmc_healer.verbs.runtime import Runtime
from bmc_healer.verbs.tidy import tidy


def begin_heal(rt: Runtime, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Judge, claim, and open the incident.

    :param parameters: host, reason, rungs, force, dry_run, source, key (of the
        sensor's incident), approves (a proposal), asked_host (as typed in chat), execution (of the workflow)
    :returns: `next` is `diagnose`; or `tell_end`, or `end` when chat has heard it already, with `outcome`
        and `sentence` when the heal ends here
    """
    given = str(parameters.get("host") or "")
    asked = str(parameters.get("asked_host") or given)
    typo = parameters.get("source") == "chat"  # who made it hears of it; the others need not
    if asked.lower() != given.lower():  # StackStorm lets a chat text end in `host=other`
        return _ended("refused", "The command names two hosts.", "", tell=not typo)
    try:
        host = rt.host(given)
        rungs = _rungs(parameters.get("rungs"))
        pinned = _pin(host)
    except (UnknownHostError, BmcError) as error:
        tell = not (typo and isinstance(error, UnknownHostError))
        return _ended("refused", getattr(error, "unnamed", error.sentence), "", tell=tell)
    address = f"{pinned}:{host.bmc.port}" if host.bmc and pinned else None
    state = rt.state.host(host.name)
    if rungs == BRING_BACK and not _to_bring_back(state):
        _nothing_to_bring_back(rt, host, str(parameters.get("key") or ""))
        return _ended("not_needed", f"{host.name} needs not be brought back.", host.name, tell=False)
    if rungs == BRING_BACK:  # nothing is reset: recovery is what an escalated host waits for
        state = replace(state, latch=None)
    request = _request(rt, parameters, host, rungs, address)
    settings = rt.config.guardrails
    if request.clock_skew is not None and abs(request.clock_skew) <= settings.clock_skew_seconds:
        _tidy_before(rt, host, str(parameters.get("execution") or ""))
    now = rt.clock()
    mode = rt.config.mode_for(host)
    refusal = guardrails.judge(request, rt.state.fleet(), state, settings, mode, now)
    plan_only = bool(parameters.get("dry_run")) or (refusal is not None and refusal.rule == "mode")
    if refusal is not None and refusal.rule != "mode":
        return _refused(rt, host, refusal, parameters)
    outage = _mass_outage(rt, host)
    if outage is not None:
        return _refused(rt, host, outage, parameters)
    incident = _open(rt, host, parameters, rungs, pinned, mode, plan_only, now, state.memory)
    if plan_only:
        rt.state.save_incident(incident)
        return _go(incident, "Only a plan is made: " + _why_plan_only(parameters, mode))
    first = FirstLook(rt, host)
    claimed = rt.state.claim(
        host=host.name,
        bmc_address=address,
        incident=incident["id"],
        execution=incident["execution"],
        label_keys=host.label_keys,
        decide=lambda fleet, latest: guardrails.judge(
            request, fleet, replace(latest, latch=state.latch), settings, mode, rt.clock()
        ),
        settle_seconds=settings.settle_seconds,
        resets=request.resets,
    )
    if not isinstance(claimed, HealRef):
        return _refused(rt, host, claimed, parameters)
    if first.foreign is not None:
        rt.state.release(claimed)
        return _refused(rt, host, _leased(host, first.foreign), parameters)
    rt.state.save_incident(incident)
    return _go(incident, f"The heal of {host.name} begins: {incident['reason']}")


def _tidy_before(rt: Runtime, host: HostSettings, execution: str) -> None:
    """A heal that died holds the host until it is tidied up; without a running sensor nobody else does it."""
    lock = rt.state.fleet().holder(host.name, None)
    limit = rt.config.watch.overdue_seconds
    if lock is not None and overdue(lock, rt.state.host(host.name), rt.clock(), limit):
        with rt.state.alive_without_lock(host.name, execution):
            rt.logger.warning("%s", tidy(rt, {"host": host.name})["sentence"])


def _rungs(asked: Any) -> tuple[str, ...]:
    rungs = tuple(asked) if asked else RUNGS
    if rungs == BRING_BACK:
        return rungs
    unknown = [str(rung) for rung in rungs if rung not in RUNGS]
    if unknown:
        sentence = f"There is no such rung. Choose from {', '.join(RUNGS)}; the order is fixed."
        raise UnknownHostError("an unknown rung", unnamed=sentence)
    return tuple(rung for rung in RUNGS if rung in rungs)


def _to_bring_back(state: HostState) -> bool:
    """A heal of ours left the driver unloaded or throttled, or escalated the host: is it well again?"""
    memory = state.memory
    return bool(memory.unloaded_boot) or memory.throttled_from is not None or state.latch is not None


def _nothing_to_bring_back(rt: Runtime, host: HostSettings, key: str) -> None:
    """The sensor need not tell the recovery again, unless a heal is at work: it may yet unload the driver.

    Where this cannot be written, the sensor tells it again: nobody need hear of that.
    """
    with suppress(StateError):
        if key and rt.state.fleet().holder(host.name, None) is None:
            rt.state.acknowledge(host.name, key)


def _pin(host: HostSettings) -> str | None:
    return resolve(host.bmc.address) if host.bmc else None


def _request(
    rt: Runtime,
    parameters: Mapping[str, Any],
    host: HostSettings,
    rungs: tuple[str, ...],
    address: str | None,
) -> guardrails.Request:
    approves = str(parameters.get("approves") or "")
    return guardrails.Request(
        host=host.name,
        label_keys=host.label_keys,
        bmc_address=address,
        source=parameters.get("source") or "person",
        rungs=rungs,
        clock_skew=clock_skew(rt.executions, rt.clock()) if rt.executions else None,
        force=bool(parameters.get("force")),
        credential=host.bmc.credential if host.bmc else None,
        approves=approves,
        proposal=rt.state.incident(approves) if approves else None,
    )


def _leased(host: HostSettings, lease: ForeignLease) -> Refusal:
    return Refusal("lease", lease.owner or "no owner", lease.sentence.removeprefix(f"{host.name}: "))


def _mass_outage(rt: Runtime, host: HostSettings) -> Refusal | None:
    """Sweep the host's labels and a sample of the fleet: sensors that share a fleet see fractions of it."""
    groups = {key: rt.inventory.by_label(key) for key in host.label_keys}
    fleet = rt.inventory.sample(rt.config.guardrails.sample_hosts, random.SystemRandom())
    others = {h.name: h for hosts in (*groups.values(), fleet) for h in hosts if h.name != host.name}
    peers = pinned(others.values(), rt.logger.warning)
    if not peers:
        return None
    dark = sweep(sorted(set(peers.values())), attempts=3).dark
    silent = {name for name, peer in peers.items() if peer in dark}
    return blast.judge(groups, fleet, silent, rt.config.watch, skip=host.name)


def _open(
    rt: Runtime,
    host: HostSettings,
    parameters: Mapping[str, Any],
    rungs: tuple[str, ...],
    pinned: str | None,
    mode: Mode,
    plan_only: bool,
    now: float,
    memory: HostMemory,
) -> dict[str, Any]:
    return {
        "id": rt.state.new_incident_id(host.name, now),
        "host": host.name,
        "key": parameters.get("key") or "",
        "reason": str(parameters.get("reason") or "asked for by a person")[:500],
        "source": parameters.get("source") or "person",
        "approves": parameters.get("approves") or "",
        "execution": str(parameters.get("execution") or ""),
        "started_at": now,
        "mode": mode.value,
        "plan_only": plan_only,
        "proposal_minutes": round(rt.config.guardrails.proposal_seconds / 60),
        "dry_run": bool(parameters.get("dry_run")),
        "force": bool(parameters.get("force")),
        "rungs": list(rungs),
        "bmc_ip": pinned,
        "known": {"bios": memory.bios, "firmware": memory.firmware},
        "plan": [],
        "steps": [],
        "next": {"task": "diagnose", "index": 0},
        "outcome": None,
    }


def _why_plan_only(parameters: Mapping[str, Any], mode: Mode) -> str:
    return "a dry run was asked for." if parameters.get("dry_run") else f"mode is {mode.value}."


def _go(incident: Mapping[str, Any], sentence: str) -> dict[str, Any]:
    return {
        "sentence": sentence,
        "next": "diagnose",
        "ok": True,
        "step": "begin_heal",
        "host": incident["host"],
        "incident": incident["id"],
        "outcome": None,
    }


def _refused(
    rt: Runtime, host: HostSettings, refusal: Refusal, parameters: Mapping[str, Any]
) -> dict[str, Any]:
    """A sensor repeats its trigger until it is taken: chat hears the same refusal once, people each time."""
    sentence = f"{refusal.sentence.rstrip('.')} ({refusal.rule}: {refusal.value})."
    if refusal.override:
        sentence += f" What to do: {refusal.override.rstrip('.')}."
    if refusal.retry_at is not None:
        sentence += f" Not before {utc(refusal.retry_at)}."
    if refusal.outcome == "escalated":  # it was healed so often that a person has to look
        rt.state.latch(host.name, refusal.rule, refusal.sentence)
        memory = rt.state.memory(host.name)
        sentence += f" {messages.firmware(memory.bios, memory.firmware)}."
    tell = parameters.get("source") != "sensor" or (
        not _at_work_on(rt, host, parameters) and rt.first_telling(host.name, refusal.rule)
    )
    told = {"rule": refusal.rule, "value": refusal.value, "retry_at": refusal.retry_at}
    return {**_ended(refusal.outcome, sentence, host.name, tell=tell), **told}


def _at_work_on(rt: Runtime, host: HostSettings, parameters: Mapping[str, Any]) -> bool:
    """The heal that holds the host is that of the very incident that the sensor tells again, or its end."""
    lock = rt.state.fleet().holder(host.name, None)
    incident = rt.state.incident(lock.incident) if lock else None
    if incident is None or not incident["key"]:
        return False
    return incident_key(incident["key"]) == incident_key(str(parameters.get("key") or ""))


def _ended(outcome: str, sentence: str, host: str, *, tell: bool = True) -> dict[str, Any]:
    return {
        "sentence": sentence,
        "next": "tell_end" if tell else "end",
        "ok": True,
        "step": "begin_heal",
        "host": host,
        "incident": "",
        "outcome": outcome,
    }
