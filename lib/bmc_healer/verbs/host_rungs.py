"""The rungs on the host as actions: reap, in-band reset, unload, throttle, load."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any

from bmc_healer.bmc.ping import ping
from bmc_healer.diagnosis import HANG_SECONDS, Verdict
from bmc_healer.errors import HostAccessError
from bmc_healer.host import kernels
from bmc_healer.host.access import HostAccess
from bmc_healer.host.clients import hung
from bmc_healer.host.facts import HostFacts
from bmc_healer.host.observe import observe
from bmc_healer.host.probe import inband_answer
from bmc_healer.rungs import inband, load, reap, throttle, unload
from bmc_healer.rungs.outcome import DeedRefusedError, RungOutcome
from bmc_healer.state.deed import Deed
from bmc_healer.verbs import look
from bmc_healer.verbs.runtime import Runtime
from bmc_healer.verbs.step import Step

SLACK = 30.0  # seconds that a rung may take for looking, besides its commands' own limits
RMMODS = 6  # modules of the IPMI stack at most, each with a limit of its own


def reap_ipmitool(rt: Runtime, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """End the hung IPMI clients, so that they hold no device and queue nothing more."""
    return _run(rt, "reap_clients", parameters, _reap)


def reset_bmc_inband(rt: Runtime, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """`ipmitool mc reset cold` on the host, watched from the LAN side."""
    return _run(rt, "reset_in_band", parameters, _reset_in_band)


def unload_ipmi(rt: Runtime, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Unload the IPMI driver: frees the CPU and drops what is queued in it."""
    return _run(rt, "unload_driver", parameters, _unload)


def throttle_kipmid(rt: Runtime, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Limit kipmi's polling: relief without risk where the driver cannot be unloaded."""
    return _run(rt, "throttle_kipmi", parameters, _throttle)


def load_ipmi(rt: Runtime, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Bring the driver back and undo a throttle; only after the BMC answers over the LAN."""
    return _run(rt, "load_driver", parameters, _load)


def _run(
    rt: Runtime, task: str, parameters: Mapping[str, Any], act: Callable[[Step, HostAccess], RungOutcome]
) -> dict[str, Any]:
    with Step(rt, task, parameters) as step:

        def on_host() -> RungOutcome:
            with rt.access(step.host) as access:
                return act(step, access)

        return step.rung(on_host)


def _facts(step: Step, access: HostAccess) -> HostFacts:
    return observe(access, windows=0, clock=step.rt.clock, sleep=step.rt.sleep)


def _deed(step: Step, access: HostAccess, facts: HostFacts, rung: str, seconds: float) -> Deed:
    """The intent of a deed on the host, which is written into the lease there as well."""
    return step.rt.state.deed(
        step.ref,
        rung,
        step.rt.clock() + seconds,
        boot_id=facts.boot_id,
        checks=lambda: step.lease(access, facts.boot_id, rung),
    )


def _close(step: Step, deed: Deed, outcome: RungOutcome, **more: Any) -> None:
    """The deed has ended; what came of it is told also when that cannot be written."""
    step.said = outcome.sentence
    deed.result({"state": outcome.state, **more})


def _reap(step: Step, access: HostAccess) -> RungOutcome:
    facts = _facts(step, access)
    with _deed(step, access, facts, "reap", SLACK) as deed:
        outcome = reap.reap(
            access, facts, watch=step.rt.config.watch, may_send=deed.may_send, mark=step.ref.mark
        )
        _close(step, deed, outcome)
    return outcome


def _reset_in_band(step: Step, access: HostAccess) -> RungOutcome:
    rt, ladder = step.rt, step.rt.config.ladder
    found, diagnosis = look.gather(rt, step.host, access, step.pinned)
    facts = found.host
    if facts is None:
        return RungOutcome("inband", "failed", f"Nothing was sent. {diagnosis.sentence}")
    if (objection := step.why_not(diagnosis, found)) is not None:
        verdict, sentence = objection
        if verdict == "stop":
            raise DeedRefusedError(f"Nothing was sent. {sentence}")
        return RungOutcome("inband", "well", f"Nothing was sent. {sentence}")
    with _deed(step, access, facts, "inband", ladder.inband_limit + SLACK) as deed:
        rt.state.remember(step.ref.host, inband_reset_boot=facts.boot_id)
        with ExitStack() as stack:
            lan = step.watch(stack)

            def may_send() -> None:
                deed.may_send()
                if lan is not None:
                    lan.reset_goes_out()

            try:
                outcome = inband.cold_reset(
                    access, facts, settings=ladder, may_send=may_send, mark=step.ref.mark
                )
            except HostAccessError as lost:  # a reset can cut the very network that SSH came through
                outcome = RungOutcome("inband", "failed", f"It may have been sent. {lost.sentence}", {})
            step.said = outcome.sentence
            delivered = outcome.evidence.get("completed_delta") != 0
            if lan is not None and delivered and outcome.state != "skipped":
                if found.bmc is not None and not found.bmc.alive:
                    outcome.evidence["inband_silence"] = _fell_silent(step, access)
                outcome.evidence["back"] = step.see_reset(lan)
            outcome.evidence["watched"] = lan is not None
            outcome.evidence["dark"] = [[p.start, p.end] for p in lan.dark_since_reset] if lan else []
        if _delivered(outcome) or not kernels.queues_inband_reset(facts.kernel):
            _close(step, deed, outcome, dark=bool(outcome.evidence["dark"]))
    return outcome


def _fell_silent(step: Step, access: HostAccess) -> bool:
    """In-band answered before the reset, and does not for a while after it: where the LAN side cannot tell.

    "Busy" is not silence: kernel 7.2 says so for 30 s after every reset command (KERNELS).
    """
    rt, ladder = step.rt, step.rt.config.ladder
    deadline = rt.steady() + ladder.dark_wait
    while rt.steady() < deadline:
        try:
            answer = inband_answer(access, limit=ladder.probe_limit, mark=step.ref.mark)
        except HostAccessError:  # not seen is not proven
            return False
        if not answer.busy and (not answer.answered or answer.seconds >= HANG_SECONDS):
            return True
        rt.sleep(ladder.steady_interval)
    return False


def _delivered(outcome: RungOutcome) -> bool:
    """The reset reached the BMC. One that did not stays queued in the driver: its intent stays open."""
    return bool(outcome.evidence.get("dark")) or outcome.evidence.get("completed_delta", 0) > 0


def _unload(step: Step, access: HostAccess) -> RungOutcome:
    """Without a driver nothing tells whether the BMC hangs: the last look before the reset is this one."""
    rt = step.rt
    found, diagnosis = look.gather(rt, step.host, access, step.pinned)
    bmc, facts = found.bmc, found.host
    if facts is None:
        return RungOutcome("unload", "failed", f"Nothing was unloaded. {diagnosis.sentence}")
    if diagnosis.verdict is Verdict.UPDATING:
        raise DeedRefusedError(f"Nothing was unloaded. {diagnosis.sentence}")
    if step.found_well(diagnosis):
        return RungOutcome("unload", "well", f"Nothing was unloaded. {diagnosis.sentence}")
    step.rt.state.remember(step.ref.host, unloaded_boot=facts.boot_id)
    limits = RMMODS * rt.config.ladder.rmmod_limit + SLACK + _hotmod_seconds(step, facts)
    with _deed(step, access, facts, "unload", limits) as deed:
        if any(hung(client, rt.config.watch) for client in facts.clients):
            # Clients that came after rung 1 hold the device; they have hung for as long by now.
            reap.reap(access, facts, watch=rt.config.watch, may_send=deed.may_send, mark=step.ref.mark)
            facts = _facts(step, access)
        outcome = unload.unload(
            access,
            facts,
            watchdog_running=bmc.watchdog_running if bmc else None,
            settings=rt.config.ladder,
            may_send=deed.may_send,
            mark=step.ref.mark,
            reset_follows="oob" in step.incident["plan"][step.index :],
        )
        _close(step, deed, outcome)
    removed = outcome.evidence.get("removed") or []
    touched = removed or outcome.state in ("done", "stuck")
    rt.state.remember(
        step.ref.host,
        unloaded_boot=facts.boot_id if touched else "",
        unloaded_modules=removed,
        unloaded_params=outcome.evidence.get("params") or [],
    )
    if outcome.state == "done":
        for intent in step.queued_resets():
            rt.state.close_intent(intent, "dropped with the driver")
    return outcome


def _hotmod_seconds(step: Step, facts: HostFacts) -> float:
    """What a rung may take longer where the driver is built in: a write to hotmod is waited for."""
    return step.rt.config.ladder.hotmod_limit if "ipmi_si" in facts.builtin else 0.0


def _throttle(step: Step, access: HostAccess) -> RungOutcome:
    facts = _facts(step, access)
    state = step.rt.state
    if facts.throttle_us is not None and state.memory(step.ref.host).throttled_from is None:
        # Before the deed: what is lost on the way is still undone. A second throttle keeps the first value.
        state.remember(step.ref.host, throttled_from=facts.throttle_us)
    with _deed(step, access, facts, "throttle", SLACK) as deed:
        outcome = throttle.throttle(access, facts, may_send=deed.may_send, mark=step.ref.mark)
        _close(step, deed, outcome)
    return outcome


def _load(step: Step, access: HostAccess) -> RungOutcome:
    rt = step.rt
    if step.host.bmc and step.pinned and not ping(step.pinned, step.host.bmc.port):
        # A load while the BMC is silent fails for good, after two minutes in D (RUNBOOK 3).
        return RungOutcome("load", "failed", "The driver was not loaded: the BMC's LAN side is silent.")
    memory = rt.state.memory(step.ref.host)
    previous = memory.throttled_from
    facts = _facts(step, access)
    undone: RungOutcome | None = None
    limits = 3 * rt.config.ladder.modprobe_limit + SLACK + _hotmod_seconds(step, facts)
    with _deed(step, access, facts, "load", limits) as deed:
        if previous is not None:
            undone = throttle.unthrottle(access, facts, previous, may_send=deed.may_send, mark=step.ref.mark)
        outcome = load.load(
            access,
            facts,
            settings=rt.config.ladder,
            may_send=deed.may_send,
            mark=step.ref.mark,
            modules=memory.unloaded_modules,
            params=memory.unloaded_params,
            steady=rt.steady,
            sleep=rt.sleep,
        )
        _close(step, deed, outcome)
    if undone is not None and undone.state == "done":
        rt.state.remember(step.ref.host, throttled_from=None)
    if outcome.state in ("done", "skipped"):
        rt.state.remember(step.ref.host, unloaded_boot="", unloaded_modules=[], unloaded_params=[])
    if undone is None:
        return outcome
    sentence = f"{undone.sentence} {outcome.sentence}"
    evidence = {**outcome.evidence, "throttle": undone.evidence}
    state = "done" if outcome.state == "skipped" else outcome.state  # undoing is a deed too
    return RungOutcome("load", state if undone.state == "done" else "failed", sentence, evidence)
