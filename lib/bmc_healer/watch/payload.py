"""What the triggers carry, as JSON data; the shapes are those of `sensors/*.yaml`, a test compares them."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from .hysteresis import Incident
from .lan import LanSeen, Verdict
from .mass import Outage
from .signature import Look

PACK = "bmc_healer"
NAMED = 20  # hosts that a mass outage names: what a trigger carries travels on in arguments of actions


def trigger(name: str, payload: dict[str, Any]) -> dict[str, Any]:
    """The line for the sensor."""
    return {"trigger": f"{PACK}.{name}", "payload": payload}


def lan_side(lan: LanSeen, verdict: Verdict, address: str | None) -> dict[str, Any]:
    """What the BMC's LAN side said when the in-band side was found ill."""
    return {
        "verdict": verdict,
        "address": address,
        "last_alive": _utc(lan.alive_at),
        "last_dark": _utc(lan.dark_at),
    }


def evidence(look: Look) -> dict[str, Any]:
    """What the host showed over the last window."""
    window = look.window
    return {
        "threads": [
            {"pid": thread.pid, "name": thread.name, "cpu_percent": thread.cpu_percent}
            for thread in window.kipmi
        ],
        "load": look.load1,
        "iowait_percent": window.iowait_percent,
        "ipmitool": {
            "count": look.clients,
            "uninterruptible": look.uninterruptible,
            "oldest_seconds": look.oldest_seconds,
        },
        "driver": None
        if window.completed is None
        else {
            "seconds": round(window.seconds, 1),
            "completed": window.completed,
            "timeouts": window.timeouts,
            "hosed": window.hosed,
        },
    }


def inband(incident: Incident, look: Look, lan: dict[str, Any], now: float) -> dict[str, Any]:
    """`kipmi.high_cpu`, or `bmc.unresponsive` with path inband: by the incident's trigger."""
    told = {
        **_head(incident.host, incident.key, now),
        "signature": look.signature or incident.signature,
        "sustained_seconds": look.sustained_seconds,
        "lan": lan,
        **evidence(look),
    }
    if incident.trigger == "bmc.unresponsive":
        told |= {
            "path": "inband",
            "address": lan["address"],
            "failures": 0,
            "last_seen": lan["last_alive"],
            "error": f"in-band IPMI is silent ({told['signature']})",
        }
    return told


def recovered(incident: Incident, path: str | None, now: float) -> dict[str, Any]:
    """`kipmi.recovered` (no path) or `bmc.recovered`, of an incident that is over."""
    seconds = (incident.recovered_at or now) - incident.since
    told = {**_head(incident.host, incident.key, now), "seconds": round(seconds, 1)}
    return told | {"path": path} if path else told


def oob(
    incident: Incident, address: str, failures: int, last_seen: float | None, error: str, now: float
) -> dict[str, Any]:
    """`bmc.unresponsive` with path oob: silent over the LAN, and confirmed."""
    return {
        **_head(incident.host, incident.key, now),
        "path": "oob",
        "signature": incident.signature,
        "address": address,
        "failures": failures,
        "last_seen": _utc(last_seen),
        "error": error,
    }


def mass_outage(outage: Outage, path: str, total: int, now: float) -> dict[str, Any]:
    """`bmc.mass_outage`; `total` is the size of the group that the label names."""
    return {
        "label": outage.label,
        "hosts": list(outage.hosts[:NAMED]),
        "silent": len(outage.hosts),
        "total": total,
        "path": path,
        "observed_at": utc(now),
        "key": outage.key,
    }


def _head(host: str, key: str, now: float) -> dict[str, Any]:
    return {"host": host, "observed_at": utc(now), "key": key}


def _utc(when: float | None) -> str | None:
    return None if when is None else utc(when)


def utc(when: float) -> str:
    """Epoch seconds as ISO 8601, e.g. 2026-11-21T10:45:12Z."""
    return datetime.fromtimestamp(when, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
