"""diagnose: look at the host and its BMC now, and say which rungs follow. By hand it changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

from bmc_healer import ladder
from bmc_healer.bmc.address import resolve
from bmc_healer.bmc.facts import Login
from bmc_healer.bmc.identity import Identity
from bmc_healer.config.settings import HostSettings, Mode
from bmc_healer.diagnosis import Diagnosis, Findings, Inband
from bmc_healer.errors import HostAccessError, StateError
from bmc_healer.host.access import HostAccess
from bmc_healer.host.lease import ForeignLease, take
from bmc_healer.plan import Plan, Request, make_plan
from bmc_healer.verbs import look
from bmc_healer.verbs.runtime import Runtime


def diagnose(rt: Runtime, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """With `incident`: the first task of that heal. Without: a look that a person asked for.

    :returns: `verdict`, `sentence`, `plan`, `left_out`, `evidence`; in a heal also `next`
    """
    host = rt.host(str(parameters["host"]))
    if not parameters.get("incident"):
        pinned = resolve(host.bmc.address) if host.bmc else None
        found, diagnosis, identity, plan, _ = _judge(
            rt, host, pinned, Request(), owner=None, windows=rt.config.watch.stuck_windows
        )
        return {
            "sentence": f"{host.name}: {plan.sentence}{_no_session(found)}",
            "host": host.name,
            "verdict": diagnosis.verdict.value,
            "plan": list(plan.steps),
            "left_out": plan.left_out,
            "identity": identity.sentence,
            "evidence": look.evidence(found, diagnosis, identity),
        }
    return _in_heal(rt, host, str(parameters["incident"]))


def _no_session(found: Findings) -> str:
    """Why there was no session with a BMC that lives: a person who looks can mend that before the need."""
    bmc = found.bmc
    return f" No session with the BMC: {bmc.error}" if bmc and bmc.alive and bmc.login is Login.FAILED else ""


def _in_heal(rt: Runtime, host: HostSettings, incident_id: str) -> dict[str, Any]:
    incident = rt.state.incident(incident_id)
    if incident is None or incident["host"] != host.name or incident["next"].get("task") != "diagnose":
        raise StateError(f"heal {incident_id} is not to be diagnosed now", host.name, "start a new heal")
    started, began = rt.clock(), rt.steady()
    proposal = rt.state.incident(incident["approves"]) if incident["approves"] else None
    approved = str((proposal or {}).get("diagnosis") or "")
    request = Request(tuple(incident["rungs"]), incident["force"], approved)
    owner = None if incident["plan_only"] else incident_id
    with (
        rt.state.alive_without_lock(host.name, incident["execution"])
        if owner is None
        else rt.state.alive(rt.ref(incident | {"incident": incident_id}))
    ):
        found, diagnosis, identity, plan, foreign = _judge(
            rt, host, incident["bmc_ip"], request, owner=owner, windows=rt.config.watch.stuck_windows
        )
    outcome, sentence = plan.outcome, plan.sentence
    if foreign is not None:
        outcome, sentence = "refused", foreign
    elif plan.steps and incident["plan_only"]:
        outcome, sentence = "proposed", f"{plan.sentence} Proposed: {' -> '.join(plan.steps)}."
    steps = [] if outcome else list(plan.steps)
    position = ladder.first(steps)
    evidence = look.evidence(found, diagnosis, identity)
    incident.update(
        plan=steps,
        left_out=plan.left_out,
        approvable=plan.approvable or (bool(plan.steps) and incident["mode"] == Mode.PROPOSE.value),
        diagnosis=diagnosis.verdict.value,
        symptoms=list(diagnosis.symptoms),
        evidence=evidence,
        baseline=_baseline(found),
        next={"task": position.task, "index": position.index},
        ending=None if steps else {"outcome": outcome, "sentence": sentence, "retry_at": plan.retry_at},
    )
    incident["steps"].append(
        {
            "step": "diagnose",
            "rung": "",
            "ok": True,
            "verdict": diagnosis.verdict.value,
            "sentence": sentence,
            "seconds": round(rt.steady() - began, 1),
            "at": started,
            "evidence": {},
        }
    )
    rt.state.save_incident(incident)
    return {
        "sentence": sentence,
        "verdict": diagnosis.verdict.value,
        "next": position.task,
        "plan": steps,
        "left_out": plan.left_out,
        "host": host.name,
        "incident": incident_id,
        "ok": True,
        "step": "diagnose",
        "seconds": round(rt.steady() - began, 1),
        "evidence": evidence,
    }


def _judge(
    rt: Runtime,
    host: HostSettings,
    pinned: str | None,
    request: Request,
    *,
    owner: str | None,
    windows: int,
) -> tuple[Findings, Diagnosis, Identity, Plan, str | None]:
    """Look, diagnose, identify, plan; with `owner` also take the host's lease for that incident."""
    with ExitStack() as stack:
        access: HostAccess | None = None
        error = ""
        try:
            access = stack.enter_context(rt.access(host))
        except HostAccessError as refused:
            error = refused.sentence
        found, diagnosis = look.gather(rt, host, access, pinned, error=error, windows=windows)
        if owner and found.bmc is not None and found.bmc.alive:
            _settle_old_resets(rt, host, owner, diagnosis)
        identity = look.identify(rt, host, found.host, found.bmc, found.memory)
        plan = make_plan(diagnosis, found, identity, request, rt.config.guardrails, rt.config.ladder)
        foreign = None
        if owner and plan.steps and access is not None and found.host is not None:
            try:
                lease = take(access, owner=rt.owner(), incident=owner, boot_id=found.host.boot_id)
            except HostAccessError as refused:  # a full disk; without a lease nothing is done
                foreign = refused.sentence
            else:
                foreign = lease.sentence if isinstance(lease, ForeignLease) else None
    return found, diagnosis, identity, plan, foreign


def _settle_old_resets(rt: Runtime, host: HostSettings, incident: str, diagnosis: Diagnosis) -> None:
    """A dead heal's reset may have happened: it was an attempt, and is over.

    In-band answers again, or the BMC has had its time to boot and answers over the LAN. "Device not
    available" ends no such time: a BMC says so while it comes up.
    """
    needs = 0.0 if diagnosis.inband is Inband.ANSWERS else rt.config.guardrails.booting_seconds
    for intent in rt.state.open_intents(host.name):
        if intent.rung == "oob" and intent.incident != incident and intent.not_after + needs < rt.clock():
            rt.state.close_intent(intent, "may have happened; the BMC answered afterwards")


def _baseline(found: Findings) -> dict[str, Any]:
    return {
        "boot_id": found.host.boot_id if found.host else "",
        "guid": found.bmc.guid if found.bmc else None,
        "firmware": (found.bmc.firmware if found.bmc else None) or found.memory.firmware,
        "power_on": found.bmc.power_on if found.bmc else None,
    }
