"""One BMC between two sweeps: failures, suspicion, incident, recovery. The counterpart of `hysteresis.py`.

Only a BMC that has answered before can be unresponsive (SAFETY 2): an address that never answered is a
mistake in the configuration, a cable, or a LAN side that is switched off.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from bmc_healer.config.settings import WatchSettings

from .hysteresis import UNRESPONSIVE, Event, Incident, told_lately
from .lan import LanSeen, seen
from .recovery import over


@dataclass(frozen=True, slots=True)
class LanPatient:
    """What the sweeps found of one BMC.

    :param answered: it has answered at least once, ever
    :param failures: sweeps in a row without an answer; `good`: with one, since the incident began
    :param recovered: an incident that is over, until somebody has taken that up or another begins
    """

    lan: LanSeen = LanSeen()  # noqa: RUF009 (frozen)
    answered: bool = False
    failures: int = 0
    good: int = 0
    incident: Incident | None = None
    recovered: Incident | None = None

    @property
    def silent(self) -> bool:
        """It has answered before, and did not in the latest sweep."""
        return self.answered and self.failures > 0

    def suspect(self, settings: WatchSettings) -> bool:
        """Silent for long enough to be asked once more, with a session, before it is told."""
        return self.answered and self.incident is None and self.failures >= settings.bmc_failures


def taken_over(
    seen_before: LanSeen | None,
    incident: Incident | None,
    settings: WatchSettings,
    now: float,
    *,
    recovered: Incident | None = None,
) -> LanPatient:
    """A patient of which an earlier watch knew; None: its BMC never answered.

    Who was silent then has its sweeps counted, as if it had been watched all the time; one more decides.
    """
    lan, failures = seen_before or LanSeen(), 0
    if lan.dark_now:
        missed = int((now - (lan.dark_since or now)) / settings.bmc_poll_seconds)
        failures = max(0, min(missed, settings.bmc_failures - 1))
    answered = not (seen_before is None and incident is None and recovered is None)
    return LanPatient(lan, answered, failures, incident=incident, recovered=recovered)


def swept(patient: LanPatient, alive: bool, settings: WatchSettings, now: float) -> tuple[LanPatient, Event]:
    """The patient after one more sweep: `RECOVERED`, `REPEAT` of what nobody acknowledged, or `NONE`."""
    incident = patient.incident
    after = LanPatient(  # not `replace`, which costs half as much as asking the BMC
        seen(patient.lan, alive, now),
        patient.answered or alive,
        failures=0 if alive else patient.failures + 1,
        good=patient.good + 1 if alive and incident else 0,
        incident=incident,
        recovered=patient.recovered,
    )
    if incident is None:
        return after, Event.NONE
    if after.good >= settings.recover_polls:
        return replace(after, incident=None, good=0, recovered=over(incident, now)), Event.RECOVERED
    if incident.acknowledged or alive or told_lately(incident, settings, now):
        return after, Event.NONE
    return replace(after, incident=replace(incident, told_at=now)), Event.REPEAT


def confirmed(patient: LanPatient, host: str, now: float) -> LanPatient:
    """The patient with the incident that begins now."""
    incident = Incident(
        key=f"{host}:oob:{int(now)}",
        host=host,
        trigger=UNRESPONSIVE,
        signature="silent_lan",
        silent=True,
        since=patient.lan.dark_since or now,
        told_at=now,
    )
    return replace(patient, incident=incident, recovered=None)


def acknowledge(patient: LanPatient, keys: frozenset[str]) -> LanPatient:
    """The patient, of which nothing is told again that somebody took up."""
    incident, recovered = patient.incident, patient.recovered
    if incident is not None and incident.key in keys:
        return replace(patient, incident=replace(incident, acknowledged=True))
    if recovered is not None and recovered.key in keys:
        return replace(patient, recovered=None)
    return patient


def refuted(patient: LanPatient, now: float) -> LanPatient:
    """It answered the closer look after all."""
    return replace(patient, lan=seen(patient.lan, True, now), failures=0)
