"""end_heal: the last look, the outcome, and the lock given back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bmc_healer import messages
from bmc_healer.bmc.ping import ping
from bmc_healer.config.settings import HostSettings
from bmc_healer.diagnosis import has_device, needs_probe, stuck
from bmc_healer.errors import HostAccessError, StateError
from bmc_healer.host import lease
from bmc_healer.host.facts import HostFacts
from bmc_healer.host.observe import observe
from bmc_healer.host.probe import inband_answer
from bmc_healer.outcome import Ending, LastLook, conclude
from bmc_healer.plan import BRING_BACK
from bmc_healer.verbs.runtime import Runtime
from bmc_healer.verbs.step import queued_resets

STILL_UNLOADED = (
    "Modules of the host's IPMI driver are unloaded: IPMI there does not work until they are loaded."
)
STILL_THROTTLED = "kipmi on the host is still throttled: IPMI on the host is slow."
STILL_QUEUED = (
    "An in-band reset is still queued in the host's driver: it may be carried out when the BMC is back."
)
LOOK_SECONDS = 3.0  # kipmi is watched this long for the last look


def end_heal(rt: Runtime, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Conclude a heal that began.

    A heal whose step died is escalated and keeps its lock: its deed may still be at work. The fence is
    raised, so that nothing more is sent, and tidy frees the lock when the deed's process is gone.
    """
    host = rt.host(str(parameters["host"]))
    incident = rt.state.incident(str(parameters["incident"]))
    if incident is None or incident["host"] != host.name:
        raise StateError(f"there is no heal {parameters['incident']}", host.name, "See bmc-healer incidents")
    if incident["outcome"]:
        return result(incident)
    due = str(incident["next"].get("task") or "")
    if due != "finish_heal":
        if not incident["plan_only"]:
            rt.state.raise_fence(host.name, of=incident["id"])
        close(rt, incident, died(rt, incident, due))
        return result(incident)
    if incident["plan_only"]:
        close(rt, incident, walked(rt, host, incident))
        return result(incident)
    ref = rt.ref({"host": host.name, "incident": incident["id"]})
    with rt.state.alive(ref):
        close(rt, incident, walked(rt, host, incident))
        rt.state.release(ref)
    return result(incident)


def walked(rt: Runtime, host: HostSettings, incident: Mapping[str, Any]) -> Ending:
    """The ending of a heal whose plan was walked to its end; the lease on the host is given back."""
    if not incident.get("ending"):
        return _concluded(rt, host, incident)
    give_lease_back(rt, host, incident)
    return _planned(incident)


def _planned(incident: Mapping[str, Any]) -> Ending:
    planned = incident["ending"]
    return Ending(planned["outcome"], "", planned["sentence"])


def _concluded(rt: Runtime, host: HostSettings, incident: Mapping[str, Any]) -> Ending:
    ending = conclude(incident["steps"], last_look(rt, host, incident))
    if ending.outcome == "healed":
        return ending
    memory, left = rt.state.memory(host.name), []
    if memory.unloaded_boot:
        left.append(STILL_UNLOADED)
    elif memory.throttled_from is not None:
        left.append(STILL_THROTTLED)
    if queued_resets(rt, host.name, incident):
        left.append(STILL_QUEUED)
    return replace(ending, sentence=" ".join([ending.sentence, *left]))


def died(rt: Runtime, incident: Mapping[str, Any], due: str, *, cancelled: bool = False) -> Ending:
    """The ending of a heal whose step ended without a result: killed, timed out, or its engine died.

    :param cancelled: somebody wanted it to stop
    """
    begun = any(heal.incident == incident["id"] for heal in rt.state.host(incident["host"]).heals)
    if cancelled:
        what, done = (
            f"The heal was cancelled at the step {due}",
            "what was sent may have happened, and is not verified",
        )
    else:
        what, done = f"The step {due} ended without a result", "what it was doing may have happened"
    said = "" if cancelled else _last_words(rt, incident, due)
    if said:
        what, done = f"The step {due} broke off", said.rstrip(".")
    if incident["plan_only"] or not begun:
        return Ending(
            "refused", "", f"{what}: {said} Nothing was sent." if said else f"{what}; nothing was sent."
        )
    left = "Nothing more is sent; the lock is freed when no process of this heal is left."
    return Ending("escalated", "", f"{what}: {done}. {left}")


def _last_words(rt: Runtime, incident: Mapping[str, Any], due: str) -> str:
    """What a step said that could not write it into the incident; the engine has kept its result."""
    if rt.executions is None or not incident["execution"]:
        return ""
    try:
        tasks = sorted(rt.executions.children(incident["execution"]), key=lambda task: task.since)
    except StateError as error:
        rt.logger.warning("%s", error.sentence)
        return ""
    return next((task.sentence for task in reversed(tasks) if task.task == due and task.ended), "")


def close(rt: Runtime, incident: dict[str, Any], ending: Ending) -> None:
    """Write the end of an incident, and latch the host when a person has to take over."""
    incident.update(
        outcome=ending.outcome,
        healed_by=ending.healed_by,
        repair=ending.repair,
        sentence=ending.sentence,
        ended_at=rt.clock(),
        next={"task": "", "index": 0},
    )
    rt.state.save_incident(incident)
    if incident["key"] and not _to_be_told_again(incident, ending):
        rt.state.acknowledge(incident["host"], incident["key"])
    if ending.latch and not incident["plan_only"]:
        rt.state.latch(incident["host"], incident["id"], ending.sentence)
    elif _seen_well(incident, ending):
        rt.state.unlatch(incident["host"])


def _to_be_told_again(incident: Mapping[str, Any], ending: Ending) -> bool:
    """A refusal uses no incident of a sensor up; nor does bringing back, when the BMC is silent again."""
    if ending.outcome == "relieved":
        return tuple(incident["rungs"]) == BRING_BACK
    return ending.outcome == "refused"


def _seen_well(incident: Mapping[str, Any], ending: Ending) -> bool:
    """The host was looked at and is well: recovery ends the hold of an earlier escalation."""
    if ending.outcome == "healed":
        return True
    return ending.outcome == "not_needed" and incident.get("diagnosis") in ("well", "unloaded")


def last_look(rt: Runtime, host: HostSettings, incident: Mapping[str, Any]) -> LastLook:
    """What is true at the end, seen and not remembered; the lease on the host is given back on the way."""
    lan_dead = None
    if incident["bmc_ip"] and host.bmc is not None:
        lan_dead = not ping(incident["bmc_ip"], host.bmc.port)
    try:
        with rt.access(host) as access:
            facts = observe(
                access,
                windows=1,
                window_seconds=LOOK_SECONDS,
                clock=rt.clock,
                sleep=rt.sleep,
            )
            inband_dead = _in_band_dead(facts, incident)
            if inband_dead and lan_dead and needs_probe(facts, rt.config.watch):
                # The hang that was found may be over: relieved is only who has nothing to answer with.
                inband_dead = not inband_answer(
                    access, limit=rt.config.ladder.probe_limit, mark="probe"
                ).answered
            lease.give_back(access, owner=rt.owner(), incident=incident["id"])
    except HostAccessError as error:
        rt.logger.warning("%s", error.sentence)
        return LastLook(None, None, None, lan_dead)
    boot_id = incident["baseline"].get("boot_id")
    return LastLook(
        kipmi_idle=facts.kipmi_percent < rt.config.watch.kipmi_cpu_low,
        unharmed=facts.boot_id == boot_id if boot_id else None,
        inband_dead=inband_dead,
        lan_dead=lan_dead,
    )


def _in_band_dead(facts: HostFacts, incident: Mapping[str, Any]) -> bool:
    """No driver, stuck counters, or a hang that was found and that no gate saw end."""
    if not has_device(facts) or any(stuck(interface.windows) for interface in facts.interfaces):
        return True
    return incident.get("diagnosis") in ("hung", "hung_dark")


def give_lease_back(rt: Runtime, host: HostSettings, incident: Mapping[str, Any]) -> None:
    """Give the lease on the host back; a host that cannot be reached keeps it until the next heal."""
    if incident["plan_only"]:
        return
    try:
        with rt.access(host) as access:
            lease.give_back(access, owner=rt.owner(), incident=incident["id"])
    except HostAccessError as error:
        rt.logger.warning("%s", error.sentence)


def result(incident: Mapping[str, Any]) -> dict[str, Any]:
    """What the workflow shows: the sentence first, then outcome, rung and the steps taken."""
    return {
        "sentence": incident["sentence"],
        "outcome": incident["outcome"],
        "to_do": messages.to_do(incident),
        "healed_by": incident["healed_by"],
        "host": incident["host"],
        "incident": incident["id"],
        "ok": incident["outcome"] in ("healed", "not_needed"),
        "step": "end_heal",
        "next": "tell_end",
        "steps": [
            {key: step[key] for key in ("step", "ok", "verdict", "seconds", "sentence")}
            for step in incident["steps"]
        ],
        "plan": incident["plan"],
        "left_out": incident.get("left_out") or {},
    }
