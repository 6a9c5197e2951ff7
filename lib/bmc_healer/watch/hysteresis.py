"""Onset, repetition and recovery of one host's illness: a pure state machine, one incident key per illness.

A trigger may get lost (SAFETY 10), so an open incident is reported again until somebody acknowledged its key.
That symptoms are gone is no recovery by itself: a hung BMC that nobody asks shows none. An incident that
began with silence ends when a transaction has completed.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from enum import Enum
from typing import Any

from bmc_healer.config.settings import WatchSettings

from .lan import Verdict
from .signature import Look

HIGH_CPU = "kipmi.high_cpu"
UNRESPONSIVE = "bmc.unresponsive"
SILENT = ("stuck_counters", "hosed_count", "hung_clients")  # signatures of a BMC that completes nothing


class Event(str, Enum):
    """What is to be told."""

    NONE = "none"
    ONSET = "onset"
    REPEAT = "repeat"
    RECOVERED = "recovered"


@dataclass(frozen=True)
class Incident:
    """An illness that was reported. Times are epoch seconds.

    :param trigger: `kipmi.high_cpu` or `bmc.unresponsive`
    :param silent: it began with a BMC that completes nothing, so a completed transaction must end it
    :param recovered_at: when it was over; None: it is open. See `recovery.py`
    """

    key: str
    host: str
    trigger: str
    signature: str
    silent: bool
    since: float
    told_at: float
    acknowledged: bool = False
    recovered_at: float | None = None

    def document(self) -> dict[str, Any]:
        """For the datastore."""
        return asdict(self)

    @classmethod
    def from_document(cls, document: dict[str, Any] | None) -> Incident | None:
        """What `document` gave; None without one, and for one of another version of this class."""
        try:
            return cls(**document) if document else None
        except TypeError:
            return None


@dataclass(frozen=True)
class Illness:
    """A host between two looks.

    :param pending_since: a signature is seen but held: the LAN side has not decided, or a mass outage is on
    :param good: good looks in a row; `answered`: a transaction completed in one of them
    :param eased: a good look with a completed transaction since somebody acknowledged the incident: should it
        begin again, that is another illness, which nobody has taken up yet
    :param spoke: a transaction has completed since then: should the BMC fall silent, that is another one too.
        Who found honest work behind a spinning kipmi has not seen the hang that follows it
    """

    incident: Incident | None = None
    pending_since: float | None = None
    good: int = 0
    answered: bool = False
    eased: bool = False
    spoke: bool = False


def advance(
    illness: Illness,
    look: Look,
    lan: Verdict,
    *,
    host: str,
    boot_id: str,
    held: bool,
    settle_seconds: float,
    booting_seconds: float,
    settings: WatchSettings,
    now: float,
) -> tuple[Illness, Event]:
    """The illness after one more look, and what is to be told.

    :param held: a mass outage holds back single triggers
    :param settle_seconds: how long to wait for others to fall ill as well, before it counts as a single one
    :param booting_seconds: how long an unknown LAN side may mean a rebooting BMC
    """
    if illness.incident is not None:
        return _open(illness, illness.incident, look, settings, now)
    if look.signature is None:
        return Illness(), Event.NONE
    since = min(illness.pending_since or now, now)
    if held or now - since < settle_seconds or not _decided(look, lan, now - since, booting_seconds):
        return Illness(pending_since=since), Event.NONE
    incident = Incident(
        key=f"{host}:{boot_id[:8]}:{int(now)}",
        host=host,
        trigger=HIGH_CPU if look.loaded else UNRESPONSIVE,
        signature=look.signature,
        silent=look.window.completed == 0,
        since=now,
        told_at=now,
    )
    return Illness(incident), Event.ONSET


def told_lately(incident: Incident, settings: WatchSettings, now: float) -> bool:
    """It is not to be told again yet. What was told in the future was told before the clock was set back."""
    return 0.0 <= now - incident.told_at < settings.repeat_seconds


def acknowledge(illness: Illness, keys: frozenset[str]) -> Illness:
    """The illness, not to be told again if its key is among those that somebody took up."""
    incident = illness.incident
    if incident is None or incident.acknowledged or incident.key not in keys:
        return illness
    return replace(illness, incident=replace(incident, acknowledged=True))


def _decided(look: Look, lan: Verdict, pending_seconds: float, booting_seconds: float) -> bool:
    """A BMC that completes transactions is not rebooting; of a silent one the LAN side knows more."""
    if look.answering or lan in ("alive", "dark"):
        return True
    return lan == "unknown" and pending_seconds >= booting_seconds


def _open(
    illness: Illness, incident: Incident, look: Look, settings: WatchSettings, now: float
) -> tuple[Illness, Event]:
    calm = (settings.kipmi_cpu_high + settings.kipmi_cpu_low) / 2
    spoke = illness.spoke or (incident.acknowledged and (look.answering or not incident.silent))
    illness = replace(illness, spoke=spoke)
    if look.signature is None and not look.suspicious and look.window.kipmi_percent < calm:
        answered = illness.answered or look.answering
        eased = illness.eased or (incident.acknowledged and answered)
        illness = replace(illness, good=illness.good + 1, answered=answered, eased=eased)
        if illness.good >= settings.recover_polls and (illness.answered or not incident.silent):
            return Illness(), Event.RECOVERED
    elif (illness.eased and look.signature is not None) or (illness.spoke and look.signature in SILENT):
        return Illness(pending_since=now), Event.RECOVERED
    else:
        illness = replace(illness, good=0, answered=False)
    if incident.acknowledged or told_lately(incident, settings, now):
        return illness, Event.NONE
    return replace(illness, incident=replace(incident, told_at=now)), Event.REPEAT
