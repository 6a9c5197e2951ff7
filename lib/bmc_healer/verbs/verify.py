"""verify: the gates. Each waits for what it must see, then a pure function judges."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from bmc_healer import gates
from bmc_healer.bmc.facts import BmcFacts, Login
from bmc_healer.bmc.lanwatch import LanWatch
from bmc_healer.bmc.ping import ping
from bmc_healer.errors import HealerError, HostAccessError
from bmc_healer.gates import Baseline, GateResult, ResetProof
from bmc_healer.host.access import HostAccess
from bmc_healer.host.facts import HostFacts
from bmc_healer.host.observe import observe
from bmc_healer.host.probe import inband_answer
from bmc_healer.verbs.runtime import Runtime
from bmc_healer.verbs.step import Step

IDLE_SECONDS = 3.0  # how long kipmi is watched to be called idle
QUEUE_WAIT = 180.0  # LAN often returns minutes before KCS, and the queued reset leaves only through KCS


def verify(rt: Runtime, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Run one gate: `gate` is its task in the workflow."""
    task = str(parameters["gate"])
    gate = GATES.get(task)
    if gate is None:
        raise HealerError(f"there is no gate {task[:40]!r}", do=f"use one of {', '.join(GATES)}")
    with Step(rt, task, parameters) as step:
        result, evidence, proof = gate(step)
        return step.done(
            result.verdict,
            result.sentence,
            evidence,
            proof=proof,
            warnings=result.warnings,
        )


Seen = tuple[GateResult, dict[str, Any], bool]


def _in_band_reset(step: Step) -> Seen:
    ladder = step.rt.config.ladder
    deed = (step.last("reset_in_band") or {"evidence": {}})["evidence"]
    with ExitStack() as stack:
        proof = _wait_back(step, deed, step.watch(stack))
    # Where the LAN side was no light that could go out, in-band was watched instead.
    proof = replace(proof, inband_silence=bool(deed.get("accepted", True) and deed.get("inband_silence")))
    answers = _wait_answers(step, ladder.back_wait) if proof.happened and proof.back else 0
    result = gates.in_band_reset(proof, answers, ladder, watched=bool(deed.get("watched", True)))
    return result, {"dark": deed.get("dark") or [], "answers": answers}, proof.happened and result.passed


def _relief(step: Step) -> Seen:
    facts = _look_at_host(step, IDLE_SECONDS)
    rung = "unload" if step.task == "gate_unload" else "throttle"
    result = gates.relief(facts, step.rt.config.watch, rung)
    return result, _kipmi(facts), False


def _out_of_band_reset(step: Step) -> Seen:
    evidence = (step.last("reset_out_of_band") or {"evidence": {}})["evidence"]
    queued = step.queued_resets()
    second = ""
    with ExitStack() as stack:
        # What the rung saw come back may go dark again before this watch has heard of it.
        lan = step.watch(stack, alive=evidence.get("back") is True)
        proof = _wait_back(step, evidence, lan)
        if lan is not None and proof.happened and proof.back and queued:
            second = _second_dark(step, lan, evidence.get("dark") or [])
            if second != "not seen":  # else it may still come
                for intent in queued:
                    step.rt.state.close_intent(intent, f"{second} after the out-of-band reset")
            if second == "seen":
                proof = _wait_back(step, {**evidence, "back": lan.alive}, lan)
    bmc = _session(step) if proof.back else _silent(step)
    result = gates.out_of_band_reset(proof, bmc, _baseline(step), queued_reset=second)
    seen = {
        "dark_seconds": proof.dark_seconds,
        "session_dead": proof.session_dead,
        "back": proof.back,
        "steady": proof.steady,
        "queued_in_band_reset": second or "none",
        "firmware": bmc.firmware,
        "power_on": bmc.power_on,
    }
    # In doubt it did reset all the same: the last gate asks for what was missing once more.
    return result, seen, proof.happened and (result.passed or result.doubt)


def _health(step: Step) -> Seen:
    rt, ladder, watch = step.rt, step.rt.config.ladder, step.rt.config.watch
    deadline = rt.steady() + _health_wait(step)
    while True:
        answers = _answers(step)
        facts = _look_at_host(step, IDLE_SECONDS)
        bmc = _session(step) if step.pinned else None
        result = gates.health(facts, bmc, answers, _baseline(step), watch=watch, ladder=ladder)
        if result.passed or _cannot_be_checked(step, facts) or rt.steady() >= deadline:
            break
        rt.sleep(ladder.steady_interval)
    if result.passed:
        step.said = result.sentence
        rt.state.remember(step.ref.host, inband_ok_at=rt.clock())
    seen = {
        "answers": answers,
        **_kipmi(facts),
        "bmc": bmc and {"alive": bmc.alive, "firmware": bmc.firmware},
    }
    return result, seen, False


def _cannot_be_checked(step: Step, facts: HostFacts | None) -> bool:
    """However long we wait: there is no way onto the host, or no `ipmitool` on it."""
    return step.host.transport == "none" or (facts is not None and not facts.ipmitool)


def _health_wait(step: Step) -> float:
    """After a reset KCS may return minutes after the LAN; without one there is nothing to wait for."""
    proven = any(record.get("proof") for record in step.incident["steps"])
    return step.rt.config.ladder.back_wait if proven else step.rt.config.ladder.dark_wait


GATES: dict[str, Callable[[Step], Seen]] = {
    "gate_in_band_reset": _in_band_reset,
    "gate_unload": _relief,
    "gate_throttle": _relief,
    "gate_out_of_band_reset": _out_of_band_reset,
    "gate_health": _health,
}


def _wait_back(step: Step, deed: Mapping[str, Any], lan: LanWatch | None) -> ResetProof:
    """What the rung saw of its reset, and whether the BMC answers now, several times in a row.

    A dark period beside a reset that was not sent, or that the BMC refused, is not that reset's.

    :param deed: the rung's evidence: `dark` ([start, end or None] in epoch seconds), `session_dead`, `back`
    """
    dark = deed.get("dark") or []
    counts = bool(deed.get("accepted", True))
    session_dead = counts and bool(deed.get("session_dead"))
    if lan is None:
        return ResetProof(None, session_dead, back=False, steady=False)
    ladder = step.rt.config.ladder
    # Nothing seen, or a rung that has waited in vain already: there is no reset to wait for.
    waits = (dark or session_dead) and deed.get("back") is not False
    back = lan.wait_back(ladder.back_wait if waits else ladder.steady_interval)
    steady = back and _steady(step, lan)
    seconds = None
    if counts and dark:
        start, end = max(dark, key=lambda period: (period[1] or step.rt.clock()) - period[0])
        seconds = (end or step.rt.clock()) - start
    return ResetProof(seconds, session_dead, back=back, steady=steady)


def _steady(step: Step, lan: LanWatch) -> bool:
    ladder = step.rt.config.ladder
    for count in range(ladder.steady_answers):
        if count:
            step.rt.sleep(ladder.steady_interval)
        if not ping(*lan.peer):
            return False
    return True


def _second_dark(step: Step, lan: LanWatch, dark: Sequence[Sequence[float | None]]) -> str:
    """Wait for the in-band reset that the driver may still hold: kernels up to 6.12 send it when KCS is back.

    :param lan: the gate's watch
    :param dark: the dark periods that the rung saw: none, when the old session was dead before the LAN was;
        the first one that the gate sees is that reset's then
    :returns: `seen`, `dropped` (the driver is gone, and its queue with it) or `not seen`
    """
    if len(dark) > 1:
        return "seen"
    missing = 2 - len(dark)
    rt, ladder = step.rt, step.rt.config.ladder
    deadline = rt.steady() + QUEUE_WAIT
    while rt.steady() < deadline:
        if lan.wait_dark(ladder.steady_interval, count=missing):
            lan.wait_back(ladder.back_wait)
            rt.sleep(ladder.steady_interval)  # late answers come in any order: a stall is taken back
            if len(lan.dark_periods) >= missing:
                return "seen"
        facts = _look_at_host(step, ladder.steady_interval)
        if facts is not None and not facts.driver_loaded:
            return "dropped"
        if facts is not None and any(w.completed for i in facts.interfaces for w in i.windows):
            # The driver sends again, first in, first out: what was queued goes now or never.
            deadline = min(deadline, rt.steady() + ladder.dark_wait)
    return "not seen"


def _session(step: Step) -> BmcFacts:
    """A session with a BMC that has just come back; not ready: asked again, a refusal never."""
    rt, ladder = step.rt, step.rt.config.ladder
    deadline = rt.steady() + ladder.back_wait
    while True:
        bmc = rt.look_at_bmc(step.host, step.pinned)
        if bmc is None:
            return _silent(step)
        if bmc.login in (Login.OK, Login.REFUSED, Login.PRIVILEGE) or rt.steady() >= deadline:
            return bmc
        rt.sleep(ladder.steady_interval)


def _silent(step: Step) -> BmcFacts:
    return BmcFacts(step.rt.clock(), step.pinned or "", alive=False, error="no answer")


def _look_at_host(step: Step, seconds: float) -> HostFacts | None:
    rt = step.rt
    try:
        with rt.access(step.host) as access:
            return observe(
                access,
                windows=1 if seconds else 0,
                window_seconds=seconds,
                clock=rt.clock,
                sleep=rt.sleep,
            )
    except HostAccessError as error:
        rt.logger.warning("%s", error.sentence)
        return None


def _answers(step: Step) -> int:
    """How many in-band answers came in a row, up to the number a gate wants."""
    try:
        with step.rt.access(step.host) as access:
            return _row_of_answers(step, access)
    except HostAccessError as error:
        step.rt.logger.warning("%s", error.sentence)
        return 0


def _row_of_answers(step: Step, access: HostAccess) -> int:
    ladder = step.rt.config.ladder
    for count in range(ladder.steady_answers):
        if count:
            step.rt.sleep(ladder.steady_interval)
        if not inband_answer(access, limit=ladder.probe_limit, mark=step.ref.mark).answered:
            return count
    return ladder.steady_answers


def _wait_answers(step: Step, seconds: float) -> int:
    deadline = step.rt.steady() + seconds
    while True:
        answers = _answers(step)
        if answers >= step.rt.config.ladder.steady_answers or step.rt.steady() >= deadline:
            return answers
        step.rt.sleep(step.rt.config.ladder.steady_interval)


def _baseline(step: Step) -> Baseline:
    return Baseline(**step.incident.get("baseline", {}))


def _kipmi(facts: HostFacts | None) -> dict[str, Any]:
    return {"kipmi_percent": round(facts.kipmi_percent, 1) if facts else None}
