"""Recoveries that nobody has taken up yet: kept, and told again until somebody does (SAFETY 9, 10). Pure.

A relieved host waits for nothing else: a recovery that got lost, or whose heal was refused, would leave it
without its driver for good. Most of them are of hosts that nobody relieved, and after a long failure there
may be thousands, so few are told again at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from bmc_healer.config.settings import WatchSettings
from bmc_healer.state.recovery import recovery_key

from . import payload
from .hysteresis import HIGH_CPU, Incident, told_lately

Line = dict[str, Any]
AGAIN_AT_ONCE = 20  # in one poll of the fleet: each may start a workflow


def over(incident: Incident, now: float) -> Incident:
    """What is kept of an incident that has just ended."""
    key = recovery_key(incident.key)
    return replace(incident, key=key, told_at=now, acknowledged=False, recovered_at=now)


def kept(document: Line | None) -> tuple[Incident | None, Incident | None]:
    """What an earlier watch kept: an open incident, or one that is over; or neither."""
    incident = Incident.from_document(document)
    if incident is None or incident.recovered_at is None:
        return incident, None
    return None, incident


def again(waiting: Iterable[Incident], settings: WatchSettings, now: float) -> list[Incident]:
    """Those of `waiting` that are to be told again now, as told now; who has waited longest comes first."""
    late = [incident for incident in waiting if not told_lately(incident, settings, now)]
    late.sort(key=lambda incident: incident.told_at)
    return [replace(incident, told_at=now) for incident in late[:AGAIN_AT_ONCE]]


def lines(incident: Incident, path: str, now: float) -> list[Line]:
    """What is to be told of an incident that is over: the document to persist, then the trigger."""
    store: Line = {"store": {f"incident:{incident.host}": incident.document()}}
    if incident.trigger == HIGH_CPU:
        return [store, payload.trigger("kipmi.recovered", payload.recovered(incident, None, now))]
    return [store, payload.trigger("bmc.recovered", payload.recovered(incident, path, now))]
