"""The guardrails of begin_heal: a pure function from a request and the state to a refusal, or None for "go".

Every refusal says which rule, its value, and how to override it or when to try again. `force` skips the
cooldown and nothing else here. The order of the rules lets the one object first that tells the most.
The budgets (at once, per hour, per day, cooldown) limit resets: a heal that only brings a host back is not
held off by them, and uses none of them up. Held off, it would leave the host without its driver.
Chat, the web UI and the command line show a refusal behind the name of its host: its sentence says "it".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from bmc_healer.config.settings import GuardrailSettings, Mode
from bmc_healer.plan import BRING_BACK
from bmc_healer.state.claim import held
from bmc_healer.state.documents import Lock
from bmc_healer.state.refs import Refusal
from bmc_healer.state.stamp import utc
from bmc_healer.state.views import FleetState, HostState
from bmc_healer.targets import subject, typed

Source = Literal["sensor", "chat", "person"]

HOUR = 3600.0
DAY = 86400.0
SOON = 60.0  # when to look again for a place among those that heal right now


@dataclass(frozen=True)
class Request:
    """A heal that somebody would like to start.

    :param label_keys: of the host, as `key=value`
    :param bmc_address: pinned, with port; None without a BMC
    :param source: every one but `sensor` is a person
    :param credential: name of the BMC login that the out-of-band rung would use
    :param clock_skew: seconds against the engine (`executions.clock_skew`); None: could not be told
    :param approves: id of the incident whose proposal the person's command carries; "" for none
    :param proposal: the document of that incident as read now; None: there is none
    """

    host: str
    label_keys: tuple[str, ...]
    bmc_address: str | None
    source: Source
    rungs: tuple[str, ...]
    clock_skew: float | None
    force: bool = False
    credential: str | None = None
    approves: str = ""
    proposal: Mapping[str, Any] | None = None

    @property
    def resets(self) -> bool:
        """Whether a BMC may be reset; bringing a host back loads its driver and undoes a throttle."""
        return self.rungs != BRING_BACK


@dataclass(frozen=True)
class _Case:
    request: Request
    fleet: FleetState
    host: HostState
    settings: GuardrailSettings
    mode: Mode
    now: float


def judge(
    request: Request,
    fleet: FleetState,
    host: HostState,
    settings: GuardrailSettings,
    mode: Mode,
    now: float,
) -> Refusal | None:
    """None: the heal may start. `Refusal.outcome` says how it ends otherwise.

    :param fleet: without a lock of the asking heal itself; see `HealState.claim`
    """
    case = _Case(request, fleet, host, settings, mode, now)
    for rule in RULES:
        if rule in BUDGETS and not request.resets:
            continue
        refusal = rule(case)
        if refusal:
            return refusal
    return None


def _proposal(case: _Case) -> Refusal | None:
    """The command that a proposal printed is good for this host and for half an hour."""
    incident = case.request.approves
    if not incident:
        return None
    proposal = case.request.proposal or {}
    limit = case.settings.proposal_seconds
    again = "start a new heal, and use the command that its proposal prints"
    if case.request.source == "sensor":
        fault = "Only a person can approve a proposal"
    elif proposal.get("outcome") != "proposed" or proposal.get("host") != case.request.host:
        fault = "What was given is no proposal for it"
    elif case.now - (proposal.get("ended_at") or 0.0) > limit:
        fault = f"The proposal is older than {limit:.0f} s"
    else:
        return None
    return Refusal("proposal_seconds", f"{limit:.0f}", fault, again)


def _clock(case: _Case) -> Refusal | None:
    limit, skew = case.settings.clock_skew_seconds, case.request.clock_skew
    if skew is not None and abs(skew) <= limit:
        return None
    fault = (
        "The engine's clock cannot be read"
        if skew is None
        else f"This machine's clock is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} the engine's"
    )
    return Refusal(
        "clock_skew_seconds",
        f"{limit:.0f}",
        f"{fault}; cooldowns and deadlines would be wrong",
        "synchronise the clocks (NTP) and check the engine's API",
    )


def _lock(case: _Case) -> Refusal | None:
    return held(case.fleet, case.request.host, case.request.bmc_address, case.now)


def _latch(case: _Case) -> Refusal | None:
    latch = case.host.latch
    if latch is None:
        return None
    return Refusal(
        "latch",
        latch.incident,
        f"It was escalated at {utc(latch.since)}: {latch.sentence}",
        f"once a person has looked at it: bmc resume {case.request.host}",
    )


def _pause(case: _Case) -> Refusal | None:
    pause = case.fleet.pause_of(case.request.host, case.request.label_keys, case.now)
    if pause is None:
        return None
    end = f"until {utc(pause.until)}" if pause.until is not None else "until resumed"
    who = subject(pause.target, case.request.host)
    return Refusal(
        "pause",
        pause.target,
        f"{who[0].upper()}{who[1:]} is paused by {pause.by} since {utc(pause.since)}, {end}: {pause.reason}",
        f"bmc resume {typed(pause.target)}",
        pause.until,
    )


def _mass_outage(case: _Case) -> Refusal | None:
    outage = case.fleet.mass_outage_of(case.request.host, case.request.label_keys, case.now)
    if outage is None:
        return None
    return Refusal(
        "mass_outage",
        outage.label,
        f"{len(outage.hosts)} hosts of {outage.label} failed at once at {utc(outage.since)}: a switch, the "
        "power or the management network, not their BMCs",
        "mend what they have in common; it ends by itself when the hosts are back",
        outage.until,
    )


def _credential(case: _Case) -> Refusal | None:
    stop = case.fleet.stop_of(case.request.credential) if "oob" in case.request.rungs else None
    if stop is None:
        return None
    return Refusal(
        "credential",
        stop.name,
        f"The credential {stop.name} is stopped since {utc(stop.since)}: {stop.reason}",
        f"mend it, then: bmc resume {typed(f'credential={stop.name}')}",
    )


def _heals_per_day(case: _Case) -> Refusal | None:
    limit = case.settings.heals_per_host_per_day
    today = sorted(heal.at for heal in case.host.heals if heal.resets and case.now - heal.at < DAY)
    if len(today) < limit:
        return None
    return Refusal(
        "heals_per_host_per_day",
        str(limit),
        f"It was healed {len(today)} times within a day and fails again: it needs hardware repair or newer "
        "firmware",
        "repair it, or raise guardrails.heals_per_host_per_day",
        today[-limit] + DAY if limit else None,
        outcome="escalated",
    )


def _cooldown(case: _Case) -> Refusal | None:
    seconds = case.settings.cooldown_seconds
    last = max((heal.at for heal in case.host.heals if heal.resets), default=None)
    if last is None or case.request.force or case.now - last >= seconds:
        return None
    return Refusal(
        "cooldown_seconds",
        f"{seconds:.0f}",
        f"Its last heal was at {utc(last)}",
        "wait, or start bmc_healer.heal with force (web UI or command line)",
        last + seconds,
    )


def _concurrency(case: _Case) -> Refusal | None:
    """So many at once; those ahead of us in a claim count as if they healed already."""
    for scope, limit, setting in _budgets(case, "concurrent_fleet", "concurrent_label"):
        locks = _resetting(case, scope)
        if len(locks) >= limit:
            hosts = ", ".join(sorted(lock.host for lock in locks)) or "none"
            return Refusal(
                setting,
                str(limit),
                f"{len(locks)} of at most {limit} hosts of {scope} are being healed right now: {hosts}",
                f"wait, or raise guardrails.{setting}",
                case.now + SOON,
            )
    return None


def _heals_per_hour(case: _Case) -> Refusal | None:
    """Heals of the last hour, and those that are under way and may yet become one."""
    for scope, limit, setting in _budgets(case, "heals_per_hour_fleet", "heals_per_hour_label"):
        times = {
            heal.incident: heal.at
            for heal in case.fleet.heals
            if heal.resets and case.now - heal.at < HOUR and (scope == "fleet" or scope in heal.labels)
        }
        for lock in _resetting(case, scope):
            times.setdefault(lock.incident, case.now)
        if len(times) >= limit:
            return Refusal(
                setting,
                str(limit),
                f"{len(times)} of at most {limit} heals of {scope} within an hour are used up",
                f"find out what they have in common, or raise guardrails.{setting}",
                sorted(times.values())[-limit] + HOUR if limit else None,
            )
    return None


def _budgets(case: _Case, fleet: str, label: str) -> Iterator[tuple[str, int, str]]:
    """(scope, limit, setting) of the fleet and of each label of the host."""
    yield "fleet", getattr(case.settings, fleet), fleet
    for key in case.request.label_keys:
        yield key, getattr(case.settings, label), label


def _resetting(case: _Case, scope: str) -> list[Lock]:
    """The locks that count for a budget of the fleet or a label."""
    return [lock for lock in case.fleet.locks if lock.resets and (scope == "fleet" or scope in lock.labels)]


def _mode(case: _Case) -> Refusal | None:
    """Last: only what everything else would let pass is worth proposing to a person."""
    if case.mode is Mode.AUTO or (case.mode is Mode.PROPOSE and case.request.source != "sensor"):
        return None
    override = (
        "a person starts it with the command of this proposal"
        if case.mode is Mode.PROPOSE
        else "set mode to propose or auto"
    )
    return Refusal(
        "mode",
        case.mode.value,
        f"It would be healed by {', '.join(case.request.rungs)}; mode is {case.mode.value}",
        override,
        outcome="proposed",
    )


RULES = (
    _proposal,
    _clock,
    _lock,
    _latch,
    _pause,
    _mass_outage,
    _credential,
    _heals_per_day,
    _cooldown,
    _concurrency,
    _heals_per_hour,
    _mode,
)
BUDGETS = (_heals_per_day, _cooldown, _concurrency, _heals_per_hour)
