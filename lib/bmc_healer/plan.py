"""Which rungs a heal may use, in the ladder's fixed order: a pure function from diagnosis to plan.

Every rung that is left out is left out with a reason, so that a person can read why.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from bmc_healer.bmc.facts import BmcFacts, Login
from bmc_healer.bmc.identity import Identity, machine, own_guid, same_machine
from bmc_healer.config.settings import GuardrailSettings, LadderSettings
from bmc_healer.diagnosis import Diagnosis, Findings, Inband, Lan, Verdict, stuck
from bmc_healer.host.facts import HostFacts
from bmc_healer.host.kernels import one_inband_reset_per_boot, queues_inband_reset

RUNGS = ("inband", "unload", "oob")  # what a person may choose; reap, throttle and load serve these
PROVE_IT = "Correct bmc.address, or set bmc.identity: trust when you know that it is right"
BRING_BACK = ("load",)  # what the rule on bmc.recovered asks for: no reset, only the way back

# Outcome of a diagnosis that leaves nothing to do, by verdict.
NOTHING_TO_DO = {
    Verdict.WELL: "not_needed",
    Verdict.BUSY: "not_needed",
    Verdict.NO_IPMI: "not_needed",
    Verdict.BOOTING: "refused",
    Verdict.UPDATING: "refused",
}


@dataclass(frozen=True)
class Request:
    """What was asked for: the rungs allowed, and whether a person insists (`force`) without symptoms."""

    rungs: tuple[str, ...] = RUNGS
    force: bool = False
    approved: str = ""  # the diagnosis (Verdict) that a person was shown and lets be carried out


@dataclass(frozen=True)
class Plan:
    """`steps` are rungs in order. Without any, `outcome` and `sentence` say how the heal ends.

    `left_out` maps a rung to the reason why it is not used.
    """

    steps: tuple[str, ...]
    sentence: str
    outcome: str = ""
    left_out: dict[str, str] = field(default_factory=dict)
    retry_at: float | None = None
    approvable: bool = False  # proposed, and a person's approval lets the next heal do it


def make_plan(
    diagnosis: Diagnosis,
    found: Findings,
    identity: Identity,
    request: Request,
    guardrails: GuardrailSettings,
    ladder: LadderSettings,
) -> Plan:
    """Choose the rungs for a diagnosis (RUNBOOK 4), within what the safety rules allow."""
    verdict = diagnosis.verdict
    ended = NOTHING_TO_DO.get(verdict)
    if ended and not (request.force and verdict in (Verdict.WELL, Verdict.BUSY)):
        return Plan((), diagnosis.sentence, ended, retry_at=diagnosis.retry_at)
    if verdict is Verdict.UNLOADED and not request.force:
        return _bring_back(diagnosis, found, identity, request)
    if verdict is Verdict.UNLOADED and diagnosis.booting and request.rungs != BRING_BACK:
        sentence = f"{diagnosis.sentence} The BMC may be booting: {diagnosis.booting}."
        return Plan((), sentence, "refused", retry_at=diagnosis.retry_at)
    if request.rungs == BRING_BACK:
        return Plan((), f"{diagnosis.sentence} There is nothing to bring back yet.", "refused")
    if _needs_person(diagnosis, found, request, guardrails):
        sentence = f"{diagnosis.sentence} A cable, a VLAN or a switched-off LAN looks the same."
        return Plan((), sentence, "proposed", approvable=True)
    if verdict is Verdict.UNREACHABLE:
        return _unreachable(diagnosis, found, identity, request, guardrails)
    if (doubt := _which_bmc(diagnosis, found)) and not _approved(diagnosis, request):
        return Plan((), f"{diagnosis.sentence} {doubt}", "proposed", approvable=True)
    if not identity.proven and not _oob_blocked(diagnosis, found.bmc, request):
        return _unproven(diagnosis, identity)
    return _walk(diagnosis, found, identity, request, ladder)


def _unproven(diagnosis: Diagnosis, identity: Identity) -> Plan:
    """Everything would be ready for an out-of-band reset, but perhaps of another machine's BMC (SAFETY 1)."""
    return Plan((), f"{diagnosis.sentence} {identity.sentence} {PROVE_IT}.", "proposed")


def _which_bmc(diagnosis: Diagnosis, found: Findings) -> str:
    """A sentence where one interface hangs and another does not: they may be two BMCs, and one is well.

    Only a hang of the first interface counts for the BMC behind `bmc.address`, and only where that interface
    gave this very BMC's GUID while the host was healthy.
    """
    if found.host is None:
        return ""
    interfaces, memory = found.host.interfaces, found.memory
    hangs = [one.name for one in interfaces if stuck(one.windows)]
    if not hangs and diagnosis.inband is Inband.HUNG:  # ipmitool asked the first one
        hangs = [one.name for one in interfaces[:1]]
    others = [one.name for one in interfaces if one.name not in hangs]
    if not hangs or not others:
        return ""
    guid = found.bmc.guid if found.bmc else None
    own = own_guid(memory.bmc_guid, memory.bmc_guid_machine, machine(found.host.dmi))
    if interfaces[0].name in hangs and same_machine(guid, own):
        return ""
    return (
        f"The host has several interfaces: {', '.join(hangs)} hangs, {', '.join(others)} does not. Which of "
        "them is the BMC behind bmc.address is not known."
    )


def _approved(diagnosis: Diagnosis, request: Request) -> bool:
    """A person approved what was seen then; of anything else nobody has said a word."""
    return request.approved == diagnosis.verdict.value


def _needs_person(
    diagnosis: Diagnosis, found: Findings, request: Request, guardrails: GuardrailSettings
) -> bool:
    if diagnosis.verdict is not Verdict.LAN_ONLY_DEAD:
        return False
    # A LAN side that never answered is one that is switched off.
    by_rule = guardrails.oob_dead_resets and found.memory.lan_alive_at is not None
    return not (by_rule or request.force or _approved(diagnosis, request))


def _bring_back(diagnosis: Diagnosis, found: Findings, identity: Identity, request: Request) -> Plan:
    """First the load: it resets nothing. Who asks for a heal may go on to a reset after it."""
    steps: tuple[str, ...] = BRING_BACK
    answers = diagnosis.inband is Inband.ANSWERS  # only a throttle is to be undone: no symptom, no reset
    ready = identity.proven and not _oob_blocked(diagnosis, found.bmc, request) and not diagnosis.booting
    if request.rungs != BRING_BACK and ready and not answers:
        steps = ("load", "oob", "load")
    return Plan(steps, f"{diagnosis.sentence} The host is to be brought back.")


def hang_proven(found: Findings, guardrails: GuardrailSettings) -> bool:
    """A hang was proven by the counters lately, and in-band has not answered since (SAFETY 2)."""
    proven_at = found.memory.hang_proven_at
    if proven_at is None or found.now - proven_at >= guardrails.hang_proof_seconds:
        return False
    return proven_at > (found.memory.inband_ok_at or 0.0)


def _unreachable(
    diagnosis: Diagnosis,
    found: Findings,
    identity: Identity,
    request: Request,
    guardrails: GuardrailSettings,
) -> Plan:
    """A host that cannot be looked at: a crash or a reinstallation looks the same (SAFETY 2)."""
    if not (hang_proven(found, guardrails) or request.force):
        sentence = (
            f"{diagnosis.sentence} No in-band hang was proven in the last "
            f"{guardrails.hang_proof_seconds / 60:.0f} minutes: without force (web UI, command line) "
            "nothing is reset."
        )
        return Plan((), sentence, "refused", retry_at=found.now + 600)
    blocked = _oob_blocked(diagnosis, found.bmc, request)
    if blocked:
        return Plan((), f"{diagnosis.sentence} {blocked}", "escalated", {"oob": blocked})
    if not identity.proven:
        return _unproven(diagnosis, identity)
    return Plan(("oob", "load"), f"{diagnosis.sentence} An out-of-band reset is due.")


def _walk(
    diagnosis: Diagnosis, found: Findings, identity: Identity, request: Request, ladder: LadderSettings
) -> Plan:
    assert found.host is not None  # noqa: S101 - the other verdicts are all seen on the host
    left_out: dict[str, str] = {}
    steps: list[str] = []
    relief = _relief(diagnosis, found, identity, request, left_out)
    why_not_inband = _inband_blocked(diagnosis, found.host, found, request, relief, ladder)
    if why_not_inband:
        left_out["inband"] = why_not_inband
    else:
        steps.append("inband")
    steps += relief
    why_not_oob = _oob_blocked(diagnosis, found.bmc, request)
    if why_not_oob:
        left_out["oob"] = why_not_oob
    else:
        steps.append("oob")
    if steps and found.host.clients and diagnosis.verdict is not Verdict.NO_DRIVER:
        steps.insert(0, "reap")
    if diagnosis.verdict is Verdict.NO_DRIVER and "gave up" in diagnosis.sentence:
        # Its BMC may be well by now: try the reload first, a reset only when the gate says no.
        steps.insert(0, "load")
    if "oob" in steps:
        steps.append("load")
    if not steps:
        reasons = " ".join(left_out.values())
        return Plan((), f"{diagnosis.sentence} No rung is left: {reasons}", "escalated", left_out)
    return Plan(tuple(steps), diagnosis.sentence, left_out=left_out)


def _relief(
    diagnosis: Diagnosis, found: Findings, identity: Identity, request: Request, left_out: dict[str, str]
) -> list[str]:
    """Unload, else throttle: frees the CPU, and unloading drops a queued in-band reset."""
    if diagnosis.verdict not in (Verdict.HUNG, Verdict.HUNG_DARK):
        left_out["unload"] = "The driver is not what burns the CPU."
        return []
    if "unload" not in request.rungs:
        left_out["unload"] = "Unloading was not asked for."
        return []
    why_not = _unload_blocked(found, identity)
    if why_not:
        left_out["unload"] = why_not
        return ["throttle"]
    return ["unload", "throttle"]


def _unload_blocked(found: Findings, identity: Identity) -> str:
    facts, bmc = found.host, found.bmc
    assert facts is not None  # noqa: S101
    if facts.watchdog_module:
        return "ipmi_watchdog is loaded: unloading could reboot the host."
    running = bmc.watchdog_running if bmc is not None else None
    if running:
        return "The BMC's watchdog is running: unloading could let it reboot the host."
    if running is None or not identity.proven:  # another machine's watchdog says nothing of this one
        return "Whether the BMC's watchdog runs cannot be known."
    well = [one.name for one in facts.interfaces[1:] if any(window.completed for window in one.windows)]
    if well:
        return f"{well[0]} is another interface, and in use: unloading would take it away as well."
    if facts.holders:
        holder = facts.holders[0]
        if not any(holder.pid == client.pid and client.kind == "client" for client in facts.clients):
            return f"{holder.program} (pid {holder.pid}) holds {holder.device}."
    if not facts.privileged:
        return "Neither root nor sudo -n on the host."
    return ""


def _inband_blocked(
    diagnosis: Diagnosis,
    facts: HostFacts,
    found: Findings,
    request: Request,
    relief: list[str],
    ladder: LadderSettings,
) -> str:
    if "inband" not in request.rungs:
        return "An in-band reset was not asked for."
    if diagnosis.verdict is Verdict.NO_DRIVER or not facts.devices:
        return "There is no IPMI device to send it through."
    if not facts.ipmitool:
        return "ipmitool is not installed on the host."
    if not facts.privileged:
        return "Neither root nor sudo -n on the host."
    if found.queued_reset:
        return "An earlier in-band reset may still be queued in the driver: a second one is not added."
    if found.memory.inband_reset_boot == facts.boot_id and one_inband_reset_per_boot(facts.kernel):
        return f"Kernel {facts.kernel} may lock up on a second in-band reset in one boot."
    answered = found.answer is not None and found.answer.answered
    if found.bmc is not None and found.bmc.alive and found.bmc.device_available is None and not answered:
        return (
            "Whether the BMC's firmware is under update could not be asked, neither over the LAN nor in-band."
        )
    if not diagnosis.proven_hang:
        return ""
    if ladder.inband_when_stuck == "skip":
        return "The hang is proven: an in-band reset would not be delivered (inband_when_stuck: skip)."
    if not queues_inband_reset(facts.kernel):
        return f"The hang is proven, and kernel {facts.kernel} drops what is sent to a BMC that hangs."
    if "unload" not in relief:
        return "The hang is proven and the driver cannot be unloaded: the reset would stay queued in it."
    if "ipmi_si" in facts.builtin:
        return "The hang is proven and the driver is built in: the reset would stay queued in it."
    return ""


def _oob_blocked(diagnosis: Diagnosis, bmc: BmcFacts | None, request: Request) -> str:
    if "oob" not in request.rungs:
        return "An out-of-band reset was not asked for."
    if bmc is None or diagnosis.lan is Lan.NONE:
        return "No BMC address is configured."
    if not bmc.alive:
        return "The BMC's LAN side is silent."
    if bmc.login is Login.REFUSED:
        return "The BMC refused the login; it is not tried again, repeated logins lock accounts."
    if bmc.login is Login.PRIVILEGE:
        return "The login has no administrator privilege on the BMC."
    if bmc.login is Login.OK and bmc.device_available is None:
        return "Whether the BMC's firmware is under update could not be asked (Get Device ID)."
    if bmc.login is not Login.OK:
        return f"No session with the BMC: {(bmc.error or 'not tried').rstrip('.')}."
    return ""
