"""What people ask for besides a heal: notify, status, sweep, pause, resume."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from bmc_healer import messages, telling
from bmc_healer.bmc.addresses import pinned
from bmc_healer.bmc.ping import sweep as sweep_bmcs
from bmc_healer.config.names import printable
from bmc_healer.errors import HealerError, StateError, UnknownHostError
from bmc_healer.state.documents import Lock
from bmc_healer.state.stamp import utc
from bmc_healer.targets import read, subject, typed
from bmc_healer.verbs.runtime import Runtime

LATEST = 3  # heals that the status of the fleet names
NAMED = 20  # hosts that a text names; the rest is counted
LONGEST_PAUSE_MINUTES = 366 * 24 * 60
LISTED = 300  # hosts that a result lists: StackStorm's web UI shows results up to 100 KB


def notify(rt: Runtime, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Tell chat about a heal (`start`, `end`), a refusal, a mass outage, or a text that a person wrote.

    `waiting` tells nothing new, only what chat could not be told before.
    """
    if parameters.get("occasion") == "waiting":
        return telling.tell_waiting(rt)
    incident = rt.state.incident(str(parameters["incident"])) if parameters.get("incident") else None
    title, body = _message(rt, parameters, incident)
    with _alive(rt, parameters):
        if parameters.get("occasion") == "end" and incident is not None and incident["outcome"]:
            told = telling.tell_end(rt, incident)
        else:
            told = telling.tell(rt, title, body)
    if parameters.get("occasion") != "start":  # the first rung does not wait for old messages
        telling.flush(rt)
    return {**told, "title": title, "text": body}


def _alive(rt: Runtime, parameters: Mapping[str, Any]) -> AbstractContextManager[object]:
    """Slow chat is no dead heal: its heartbeat goes on while the start is told."""
    if parameters.get("occasion") != "start" or not parameters.get("incident"):
        return nullcontext()
    try:
        return rt.state.alive(rt.ref(parameters))
    except StateError:
        return nullcontext()


def _message(
    rt: Runtime, parameters: Mapping[str, Any], incident: Mapping[str, Any] | None
) -> tuple[str, str]:
    occasion = parameters.get("occasion") or "text"
    if occasion == "mass_outage":
        hosts = [str(host) for host in parameters["hosts"]]
        return messages.mass_outage(str(parameters["label"]), hosts, int(parameters.get("silent") or 0))
    if occasion == "text":
        return "bmc_healer", str(parameters.get("text") or "")
    if incident is None or (occasion == "end" and not incident["outcome"]):
        outcome = str(parameters.get("outcome") or "escalated")
        return messages.refused(_known(rt, parameters), outcome, str(parameters.get("text") or ""))
    return messages.started(incident) if occasion == "start" else messages.ended(incident)


def _known(rt: Runtime, parameters: Mapping[str, Any]) -> str:
    """The host's name; empty when it is none: a heal that did not begin has only the text that was given."""
    try:
        return rt.host(str(parameters.get("host") or "")).name
    except UnknownHostError:
        return ""


def status(rt: Runtime, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """What the pack knows: of one host, or of the fleet."""
    fleet = rt.state.fleet()
    if parameters.get("host"):
        return _host_status(rt, str(parameters["host"]))
    heals = [f"{lock.host} {_progress(rt, lock)}" for lock in fleet.locks]
    pauses = sorted(f"{typed(pause.target)} by {pause.by}: {pause.reason}" for pause in fleet.pauses)
    count = rt.inventory.count
    lines = [f"{count} {'host' if count == 1 else 'hosts'}, mode {rt.config.mode.value}."]
    lines.append(f"Healing now: {'; '.join(heals)}." if heals else "No heal is running.")
    if pauses:
        lines.append(f"Paused: {'; '.join(pauses)}.")
    if fleet.mass_outages:
        lines.append(f"Mass outage: {', '.join(outage.label for outage in fleet.mass_outages)}.")
    if fleet.stopped:
        lines.append(f"Stopped credentials: {', '.join(stop.name for stop in fleet.stopped)}.")
    if untold := len(rt.state.outbox.pending()):
        lines.append(f"Chat has not heard {untold} {'message' if untold == 1 else 'messages'} yet.")
    incidents = [_brief(incident) for incident in rt.state.incidents(limit=10)]
    if ended := [_outcome(told) for told in incidents if told["outcome"] != "running"]:
        lines.append(f"Latest: {', '.join(ended[:LATEST])}.")
    return {
        "sentence": " ".join(lines),
        "mode": rt.config.mode.value,
        "hosts": rt.inventory.count,
        "healing": heals,
        "paused": pauses,
        "warning": rt.inventory.warning,
        "incidents": incidents,
    }


def _host_status(rt: Runtime, name: str) -> dict[str, Any]:
    host = rt.host(name)
    state, memory = rt.state.host(host.name), rt.state.memory(host.name)
    fleet = rt.state.fleet()
    lock = fleet.holder(host.name, None)
    paused = fleet.pause_of(host.name, host.label_keys, rt.clock())
    latest = [_brief(incident) for incident in rt.state.incidents(limit=5, host=host.name)]
    lines = [f"{host.name}: mode {rt.config.mode_for(host).value}."]
    if lock:
        lines.append(f"Being healed {_progress(rt, lock)}.")
    if paused:
        end = f"until {utc(paused.until)}" if paused.until else "until resumed"
        who = subject(paused.target, host.name)
        lines.append(f"{who[0].upper()}{who[1:]} is paused by {paused.by}, {end}: {paused.reason}.")
    if state.latch:
        lines.append(f"Held since {utc(state.latch.since)} for a person: {state.latch.sentence}")
        lines.append(f"`bmc resume {host.name}` ends that.")
    if memory.inband_ok_at:
        lines.append(f"In-band answered last at {utc(memory.inband_ok_at)}.")
    if not lock and not state.latch:
        ended = next((told for told in latest if told["outcome"] != "running"), None)
        lines.append(
            f"Latest: {_outcome(ended)}: {ended['sentence']}" if ended else "No heal of it is known."
        )
    return {
        "sentence": " ".join(lines),
        "host": host.name,
        "healing": lock.incident if lock else None,
        "paused": typed(paused.target) if paused else None,
        "held": state.latch.sentence if state.latch else None,
        "open_deeds": [f"{intent.rung} of {intent.incident}" for intent in state.open_intents],
        "bmc_firmware": memory.firmware,
        "incidents": latest,
    }


def _progress(rt: Runtime, lock: Lock) -> str:
    """Since when a heal runs, and how far it is."""
    since = f"since {utc(lock.taken_at)} ({lock.incident})"
    now = ((rt.state.incident(lock.incident) or {}).get("next") or {}).get("task")
    return f"{since}, now: {str(now).replace('_', ' ')}" if now else since


def _outcome(told: Mapping[str, Any]) -> str:
    return f"{told['host']} {told['outcome'].replace('_', ' ')} at {told['at']}"


def _brief(incident: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": incident["id"],
        "host": incident["host"],
        "at": utc(incident["started_at"]),
        "outcome": incident["outcome"] or "running",
        "healed_by": incident.get("healed_by") or "",
        "sentence": incident.get("sentence") or incident["reason"],
    }


def sweep(rt: Runtime, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Ask every BMC, or those of a label, for one sessionless answer: no login, no change.

    :returns: `asked`, `answered`, and `silent`: the first of those that did not answer
    """
    label = read(str(parameters.get("label") or ""))
    chosen = rt.inventory.by_label(label) if label else tuple(rt.inventory.hosts())
    hosts = [host for host in chosen if host.bmc is not None]
    if not hosts:
        raise HealerError(f"no BMC to sweep{f' with label {printable(label)}' if label else ''}")
    peers = pinned(hosts, rt.logger.warning)
    dark = sweep_bmcs(list(peers.values())).dark
    silent = sorted(host.name for host in hosts if peers.get(host.name) is None or peers[host.name] in dark)
    answered = len(hosts) - len(silent)
    sentence = f"{answered} of {len(hosts)} BMCs answer."
    if silent:
        more = f" and {len(silent) - NAMED} more" if len(silent) > NAMED else ""
        sentence += f" Silent: {', '.join(silent[:NAMED])}{more}."
    return {"sentence": sentence, "answered": answered, "asked": len(hosts), "silent": silent[:LISTED]}


def pause(rt: Runtime, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Hold all heals of a host, a label or the fleet, for some minutes or until resumed."""
    target = _target(rt, parameters)
    if target.startswith("credential="):
        raise HealerError("a credential cannot be paused", do="Pause a host, a label or the fleet")
    minutes = float(parameters.get("minutes") or 0)
    if not 0 <= minutes <= LONGEST_PAUSE_MINUTES:
        what = f"minutes must be from 0 to {LONGEST_PAUSE_MINUTES}"
        raise HealerError(what, do="Leave it out to pause until resumed")
    until = rt.clock() + minutes * 60 if minutes else None
    by = str(parameters.get("user") or "a person")
    reason = str(parameters.get("reason") or "no reason was given")[:300]
    rt.state.pause(target, until=until, by=by, reason=reason)
    how_long = f"until {utc(until)}" if until else f"until `bmc resume {typed(target)}`"
    sentence = f"{typed(target)} is paused {how_long}: {reason.rstrip('.')}."
    if healing := [lock.host for lock in rt.state.fleet().locks if _covers(target, lock)]:
        sentence += f" Healing right now, and stopped before the next deed: {', '.join(sorted(healing))}."
    return {"sentence": sentence, "target": target}


def _covers(target: str, lock: Lock) -> bool:
    return target in ("fleet", f"host={lock.host}", *lock.labels)


def resume(rt: Runtime, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """End a pause; for a host also let heals run again after an escalation."""
    target = _target(rt, parameters)
    done = []
    if any(pause.target == target for pause in rt.state.fleet().pauses):
        done.append("the pause is over")
    if target.startswith("host=") and rt.state.host(target.removeprefix("host=")).latch:
        done.append("the hold after its escalation is over")
    if target.startswith("credential="):
        rt.state.allow_credential(target.removeprefix("credential="))
        done.append("the credential may be used again")
    rt.state.resume(target)
    name, wider = typed(target), _still_paused(rt, target)
    untouched = f"{name}{' itself' if wider else ''} was neither paused nor held."
    sentence = f"{name}: {' and '.join(done)}." if done else untouched
    if wider:
        still = "still paused" if done else "paused"
        sentence += f" It is {still} with {subject(wider, name)}: `bmc resume {typed(wider)}`."
    return {"sentence": sentence, "target": target}


def _still_paused(rt: Runtime, target: str) -> str:
    """The wider pause, of a label or the fleet, that goes on holding a host."""
    if not target.startswith("host="):
        return ""
    host = rt.host(target.removeprefix("host="))
    pause = rt.state.fleet().pause_of(host.name, host.label_keys, rt.clock())
    return pause.target if pause else ""


def _target(rt: Runtime, parameters: Mapping[str, Any]) -> str:
    """`fleet`, a label `rack=r12`, `credential=NAME` (resume only), or a host's name."""
    given = read(str(parameters.get("target") or ""))
    if read(str(parameters.get("target_again") or given)) != given:
        raise HealerError("the command names two targets", do="Nothing was changed")
    if given == "fleet":
        return given
    if given.startswith("credential="):
        if given.removeprefix("credential=") not in rt.config.credentials:
            raise StateError(f"there is no {printable(given)}", do="See credentials in the configuration")
        return given
    if "=" in given:
        if not rt.inventory.by_label(given):
            raise StateError(f"no host has the label {printable(given)}", do="Nothing was changed")
        return given
    return f"host={rt.host(given).name}"
