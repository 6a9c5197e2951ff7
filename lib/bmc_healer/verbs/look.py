"""Bring together what a diagnosis needs: one look at the host and one at its BMC, and what was learnt."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, replace
from typing import Any

from bmc_healer.bmc.facts import BmcFacts, Login
from bmc_healer.bmc.identity import Identity, machine, own_guid, prove, same_machine
from bmc_healer.config.settings import HostSettings
from bmc_healer.diagnosis import (
    Diagnosis,
    Findings,
    Inband,
    Verdict,
    diagnose,
    hang_since,
    needs_probe,
    soft_hang,
)
from bmc_healer.errors import ConfigError, HostAccessError
from bmc_healer.host.access import HostAccess
from bmc_healer.host.facts import Dmi, HostFacts, InbandAnswer
from bmc_healer.state.refs import HostMemory, Intent
from bmc_healer.verbs.runtime import Runtime

MANY_CLIENTS = 20  # evidence names this many of a pile-up, and counts the rest


def gather(
    rt: Runtime,
    host: HostSettings,
    access: HostAccess | None,
    pinned: str | None,
    *,
    error: str = "",
    windows: int = 1,
) -> tuple[Findings, Diagnosis]:
    """Look at both sides, remember what was learnt, and diagnose.

    :param access: an open way onto the host, None when it could not be reached (`error` says why)
    :param windows: counter windows in a row that have to say stuck; 0 where no driver is left to ask
    """
    watch = rt.config.watch
    facts: HostFacts | None = None
    answer: InbandAnswer | None = None
    if access is not None:
        try:
            facts, answer = look_at_host(rt, access, windows=windows)
        except HostAccessError as broken:
            error = broken.sentence
    bmc = rt.look_at_bmc(host, pinned)
    memory, now = rt.state.memory_and_lan(host.name), rt.clock()
    if (
        bmc is not None
    ):  # what this look teaches counts for its own diagnosis: silent since just now is booting
        changes = lan_changes(memory, bmc.alive, now)
        rt.state.remember(host.name, **changes)
        memory = replace(memory, **changes)
    intents = rt.state.open_intents(host.name)
    queued = facts is not None and any(
        intent.rung == "inband" and intent.boot_id == facts.boot_id for intent in intents
    )
    found = Findings(now, facts, bmc, memory, answer, error, queued, _reset_unseen_at(intents))
    diagnosis = diagnose(found, watch, rt.config.guardrails)
    remember(rt, host, found, diagnosis)
    return found, diagnosis


def _reset_unseen_at(intents: Iterable[Intent]) -> float | None:
    """No heal leaves the intent of its out-of-band reset open but one that died at it."""
    return max((intent.not_after for intent in intents if intent.rung == "oob"), default=None)


def look_at_host(rt: Runtime, access: HostAccess, *, windows: int) -> tuple[HostFacts, InbandAnswer | None]:
    """Observe the host; ask in-band only where nothing else can tell, and never a second time at once.

    An idle driver shows nothing, so a first short look decides whether the counters have to be watched.
    """
    from bmc_healer.host.observe import observe
    from bmc_healer.host.probe import inband_answer

    watch = rt.config.watch
    seconds = watch.counter_window_seconds
    if windows == 0:
        return observe(access, windows=0, clock=rt.clock, sleep=rt.sleep), None
    facts = observe(access, windows=1, window_seconds=seconds, clock=rt.clock, sleep=rt.sleep)
    if windows > 1 and any(w.completed == 0 and w.timeouts > 0 for i in facts.interfaces for w in i.windows):
        facts = observe(access, windows=windows - 1, window_seconds=seconds, clock=rt.clock, sleep=rt.sleep)
    if not needs_probe(facts, watch):
        return facts, None
    answer = inband_answer(access, limit=rt.config.ladder.probe_limit, mark="probe")
    if not answer.answered:
        # The probe itself has put a request into the driver: now the counters can prove the hang.
        facts = observe(access, windows=1, window_seconds=seconds, clock=rt.clock, sleep=rt.sleep)
    return facts, answer


def remember(rt: Runtime, host: HostSettings, found: Findings, diagnosis: Diagnosis) -> None:
    """Keep what later decisions need: when in-band answered, a hang that counters or 0xC3 prove."""
    changes: dict[str, Any] = {}
    if diagnosis.inband is Inband.ANSWERS:
        changes["inband_ok_at"] = found.now
    firmware = found.bmc.firmware if found.bmc else None
    if firmware and firmware != found.memory.firmware:
        changes["firmware"] = firmware
    bios = found.host.dmi.bios_version if found.host else ""
    if bios and bios != found.memory.bios:
        changes["bios"] = bios
    runs_on = machine(found.host.dmi) if found.host else ""
    if runs_on and runs_on != found.memory.machine:
        changes["machine"] = runs_on
    if diagnosis.inband is Inband.HUNG:
        proof = rt.config.guardrails.hang_proof_seconds
        changes["hang_since"] = hang_since(found.memory, found.now, proof)
    proven = diagnosis.proven_hang or (found.answer is not None and soft_hang(found.answer))
    if proven and diagnosis.verdict in (Verdict.HUNG, Verdict.HUNG_DARK):
        changes["hang_proven_at"] = found.now
    if changes:
        rt.state.remember(host.name, **changes)


def lan_changes(memory: HostMemory, alive: bool, now: float) -> dict[str, Any]:
    """What one ping teaches: `lan_dark_since` is the start of the silence, kept while it lasts.

    An answer after a silence ends it now: what is kept is when it began, it may have lasted until just now.
    """
    if alive and (memory.lan_dark_at or 0.0) > (memory.lan_alive_at or 0.0):
        return {"lan_alive_at": now, "lan_dark_at": now}
    if alive:
        return {"lan_alive_at": now}
    went_dark = memory.lan_dark_since is None or (memory.lan_alive_at or 0.0) > (memory.lan_dark_at or 0.0)
    return {"lan_dark_at": now, **({"lan_dark_since": now} if went_dark else {})}


def identify(
    rt: Runtime, host: HostSettings, facts: HostFacts | None, bmc: BmcFacts | None, memory: HostMemory
) -> Identity:
    """Prove that the BMC behind the address is this host's (SAFETY 1); `trust` is the written exception."""
    from bmc_healer.bmc.session import fru_serial

    if host.bmc is None or bmc is None:
        return Identity(False, "", "No BMC address is configured.")
    if host.bmc.identity == "trust":
        return Identity(True, "", "The configuration says to trust the address (identity: trust).")
    dmi = facts.dmi if facts else Dmi()
    if facts is not None and not facts.privileged and not dmi.uuid and not memory.bmc_guid:
        what = "The host's SMBIOS UUID, which would prove that the BMC is its own, can only be read by root:"
        return Identity(False, "", f"{what} log in as root, or allow sudo -n.")
    runs_on = machine(dmi) or memory.machine  # of a host that cannot be looked at: the latest that was seen
    own = own_guid(memory.bmc_guid, memory.bmc_guid_machine, runs_on)
    proof = prove(bmc, dmi, own, None)
    if not proof.proven and bmc.login is Login.OK and dmi.serial:
        try:
            serial = fru_serial(
                bmc.address, host.bmc.port, rt.login(host), limit=rt.config.ladder.session_limit
            )
        except ConfigError:
            serial = None
        proof = prove(bmc, dmi, own, serial)
    if not proof.proven and own is None and same_machine(bmc.guid, memory.bmc_guid):
        moved = f"the host had it on another machine ({memory.bmc_guid_machine}) and runs on {runs_on} now"
        return Identity(False, "", f"{bmc.address}: this may be the BMC of another machine: {moved}.")
    return proof


def evidence(found: Findings, diagnosis: Diagnosis, identity: Identity | None = None) -> dict[str, Any]:
    """What was found, as JSON, for the incident, the report and the person who takes over."""
    facts, bmc = found.host, found.bmc
    told: dict[str, Any] = {
        "verdict": diagnosis.verdict.value,
        "in_band": diagnosis.inband.value,
        "lan": diagnosis.lan.value,
        "symptoms": list(diagnosis.symptoms),
    }
    if facts is None:
        told["host_error"] = found.host_error
        told["bios_remembered"] = found.memory.bios
    else:
        told["host"] = _host_evidence(facts)
    if found.answer is not None:
        told["in_band_probe"] = asdict(found.answer)
    if bmc is not None:
        told["bmc"] = {**asdict(replace(bmc)), "login": bmc.login.value}
    if bmc is None or not bmc.firmware:
        told["bmc_firmware_remembered"] = found.memory.firmware
    if identity is not None:
        told["identity"] = {"proven": identity.proven, "how": identity.how, "sentence": identity.sentence}
    return told


def _host_evidence(facts: HostFacts) -> dict[str, Any]:
    return {
        "boot_id": facts.boot_id,
        "kernel": facts.kernel,
        "bios": facts.dmi.bios_version,
        "machine": f"{facts.dmi.vendor} {facts.dmi.product}".strip(),
        "load1": facts.load1,
        "iowait_percent": round(facts.iowait_percent, 1),
        "kipmi": [
            {"name": t.name, "pid": t.pid, "cpu_percent": round(t.cpu_percent, 1)} for t in facts.kipmi
        ],
        "counters": {item.name: [asdict(window) for window in item.windows] for item in facts.interfaces},
        "clients": [asdict(client) for client in facts.clients[:MANY_CLIENTS]],
        "clients_count": len(facts.clients),
        "modules": {m.name: {"refcount": m.refcount, "users": list(m.users)} for m in facts.modules.values()},
        "builtin": sorted(facts.builtin),
        "devices": [asdict(device) for device in facts.devices],
        "holders": [asdict(holder) for holder in facts.holders],
        "throttle_us": facts.throttle_us,
        "watchdog_module": facts.watchdog_module,
    }
