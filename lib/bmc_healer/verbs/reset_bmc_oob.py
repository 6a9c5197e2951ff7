"""reset_bmc_oob: the cold reset over the LAN, after one more look at whether it is still needed and right."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from bmc_healer.bmc import redfish, session
from bmc_healer.bmc.facts import BmcFacts, Login, ResetAnswer
from bmc_healer.bmc.identity import Identity, same_machine
from bmc_healer.bmc.lanwatch import LanWatch
from bmc_healer.bmc.ping import ping
from bmc_healer.config.settings import BmcSettings, RedfishSettings
from bmc_healer.diagnosis import Findings
from bmc_healer.errors import HostAccessError
from bmc_healer.host.access import HostAccess
from bmc_healer.rungs.outcome import DeedRefusedError, RungOutcome
from bmc_healer.verbs import look
from bmc_healer.verbs.runtime import Runtime
from bmc_healer.verbs.step import Step

SLACK = 10.0  # seconds between writing the intent and the latest moment of sending


def reset_bmc_oob(rt: Runtime, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Diagnose again, prove the BMC's identity again, open a session, and only then reset."""
    with Step(rt, "reset_out_of_band", parameters) as step:
        return step.rung(lambda: _reset_out_of_band(step))


def _reset_out_of_band(step: Step) -> RungOutcome:
    rt = step.rt
    foreign: str | None = None
    with ExitStack() as stack:
        access: HostAccess | None = None
        error = ""
        try:
            access = stack.enter_context(rt.access(step.host))
        except HostAccessError as refused:
            error = refused.sentence
        windows = 0 if _unloaded(step) else 1
        found, diagnosis = look.gather(rt, step.host, access, step.pinned, error=error, windows=windows)
        identity = look.identify(rt, step.host, found.host, found.bmc, found.memory)
        if found.host is None:
            identity = proven_before(step.incident, found.bmc) or identity
        if access is not None and found.host is not None:
            foreign = step.lease(access, found.host.boot_id, "oob")
    verdict, sentence = step.why_not(diagnosis, found) or ("", "")
    if verdict == "well":
        return RungOutcome("oob", "well", f"Nothing was sent. {sentence}")
    why_not = foreign or sentence or _why_not(found, identity)
    settings, bmc, pinned = step.host.bmc, found.bmc, step.pinned
    if why_not or settings is None or bmc is None or pinned is None:
        raise DeedRefusedError(f"Nothing was sent. {why_not or 'No BMC is configured.'}")
    _keep_baseline(step, bmc)
    return _reset(step, settings, pinned, bmc)


def proven_before(incident: Mapping[str, Any], bmc: BmcFacts | None) -> Identity | None:
    """What this heal proved while it could look at the host holds for the same GUID at the pinned address."""
    proof = (incident.get("evidence") or {}).get("identity") or {}
    guid = (incident.get("baseline") or {}).get("guid")
    if bmc is None or not guid or bmc.guid != guid or not proof.get("proven"):
        return None
    return Identity(True, proof.get("how", ""), f"Proven when the heal began: {proof.get('sentence', '')}")


def _unloaded(step: Step) -> bool:
    """A heal's own unload left no driver to ask; the hang was proven when the ladder was planned."""
    unload = step.last("unload_driver")
    return unload is not None and unload["verdict"] in ("done", "stuck")


def _why_not(found: Findings, identity: Identity) -> str:
    if not identity.proven:
        return identity.sentence
    if found.bmc is None or not found.bmc.alive:
        return "The BMC's LAN side is silent."
    if found.bmc.login is not Login.OK:
        return f"No session with the BMC: {(found.bmc.error or found.bmc.login.value).rstrip('.')}."
    if found.bmc.device_available is None:
        return "Whether the BMC's firmware is under update could not be asked (Get Device ID)."
    return ""


def _keep_baseline(step: Step, bmc: BmcFacts) -> None:
    baseline = step.incident.setdefault("baseline", {})
    for key, value in (("guid", bmc.guid), ("firmware", bmc.firmware), ("power_on", bmc.power_on)):
        if value is not None:
            baseline[key] = value
    step.rt.state.save_incident(step.incident)


def _reset(step: Step, settings: BmcSettings, pinned: str, bmc: BmcFacts) -> RungOutcome:
    rt, ladder = step.rt, step.rt.config.ladder

    def checks() -> str | None:
        return None if ping(pinned, settings.port) else "The BMC's LAN side fell silent before the reset."

    def may_send() -> None:
        deed.may_send()
        lan.reset_goes_out()

    limit = rt.clock() + ladder.session_limit + SLACK
    boot_id = step.incident.get("baseline", {}).get("boot_id", "")
    with (
        LanWatch(pinned, settings.port) as lan,
        rt.state.deed(step.ref, "oob", limit, boot_id=boot_id, checks=checks) as deed,
    ):
        sent_at = rt.clock()
        answer = session.cold_reset(
            pinned,
            settings.port,
            rt.login(step.host),
            limit=ladder.session_limit,
            guid=None if settings.identity == "trust" else bmc.guid,
            may_send=may_send,
        )
        closed = answer.login in (Login.OK, Login.REFUSED)  # it has had its say: no second way round that
        if not answer.sent and not closed and settings.redfish is not None:
            answer = _by_redfish(step, settings.redfish, bmc, answer, may_send)
        if answer.login is Login.REFUSED and settings.credential:  # whichever way it was refused
            rt.state.bad_login(settings.credential, f"{pinned}:{settings.port}")
        step.said = _sentence(answer)
        back = not answer.sent or step.see_reset(lan, session_dead=answer.session_dead)
        dark = [[period.start, period.end] for period in lan.dark_since_reset]
        deed.result({"sent": answer.sent, "completion_code": answer.completion_code, "dark": bool(dark)})
    evidence = {
        "sent_at": sent_at,
        "via": answer.via,
        "sent": answer.sent,
        "accepted": _accepted(answer),
        "completion_code": answer.completion_code,
        "session_dead": answer.session_dead,
        "dark": dark,
        "back": back,
        "chassis_power_on": bmc.power_on,
    }
    return RungOutcome("oob", "done" if _accepted(answer) else "failed", step.said, evidence)


def _by_redfish(
    step: Step,
    settings: RedfishSettings,
    bmc: BmcFacts,
    answer: ResetAnswer,
    may_send: Callable[[], None],
) -> ResetAnswer:
    """The second way in, only to what says that it is the same machine: its URL is another address."""
    limit = step.rt.config.ladder.session_limit
    login = step.rt.login(step.host)
    seen = redfish.look(settings, login, limit=limit)
    if seen.login is Login.REFUSED:
        return replace(answer, error=f"{answer.error} {seen.error}".strip(), login=Login.REFUSED)
    if not same_machine(seen.guid, bmc.guid):
        return replace(answer, error=f"{answer.error} Redfish is not proven to be the same BMC.".strip())
    if seen.device_available is False:
        return replace(answer, error=f"{answer.error} Redfish says that the BMC updates or starts.".strip())
    return redfish.manager_reset(settings, login, limit=limit, may_send=may_send)


def _accepted(answer: ResetAnswer) -> bool:
    return answer.sent and answer.completion_code in (0, None)


def _sentence(answer: ResetAnswer) -> str:
    if not answer.sent:
        return f"The reset was not sent: {(answer.error or 'no session').rstrip('.')}."
    if answer.completion_code is None:
        return "The cold reset was sent, the BMC did not answer it; only the gate can tell."
    if answer.completion_code:
        return f"The BMC refused the cold reset with completion code 0x{answer.completion_code:02X}."
    return f"The BMC acknowledged the cold reset ({answer.via}); only the gate can tell."
