"""What chat is told: one text per occasion, read aloud before it was written down. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bmc_healer.state.stamp import utc

TITLES = {
    "healed": "{host}: BMC healed",
    "relieved": "{host}: host relieved, BMC not healed",
    "escalated": "{host}: BMC needs a person",
    "refused": "{host}: BMC not touched",
    "proposed": "{host}: BMC reset proposed",
    "not_needed": "{host}: no heal needed",
}

RELIEVED = "Check the BMC's power and network; when it answers again, the host is brought back by itself."
REPAIR = (
    "What is left is repair, while no firmware update runs: power-drain the board (pull both power cords), "
    "then update BMC and BIOS firmware, then replace the board."
)


def started(incident: Mapping[str, Any]) -> tuple[str, str]:
    """Title and body when a heal has a plan and begins."""
    ladder = " -> ".join(incident["plan"])
    lines = [f"Why: {incident['reason']}", f"Found: {_last(incident, 'diagnose')}", f"Ladder: {ladder}"]
    lines += [f"Left out: {rung}: {why}" for rung, why in (incident.get("left_out") or {}).items()]
    lines.append(f"`!bmc status {incident['host']}` says how far it is.")
    lines.append(f"Incident: {incident['id']}")
    return f"{incident['host']}: healing the BMC", "\n".join(lines)


def ended(incident: Mapping[str, Any]) -> tuple[str, str]:
    """Title and body when a heal is over, whatever the outcome."""
    outcome = str(incident["outcome"])
    lines = [str(incident["sentence"])]
    for step in incident.get("steps", []):
        if step["step"] != "diagnose":
            lines.append(f"- {step['step'].replace('_', ' ')}: {step['sentence']} ({step['seconds']:.0f} s)")
        lines += [f"  Note: {warning}" for warning in step.get("warnings", [])]
    if next_step := to_do(incident):
        lines.append(next_step)
    if outcome == "escalated":
        lines += advice(incident)
    if outcome in ("escalated", "relieved", "proposed"):
        lines += facts(incident)
    lines.append(f"Incident: {incident['id']}")
    return TITLES[outcome].format(host=incident["host"]), "\n".join(lines)


def to_do(incident: Mapping[str, Any]) -> str:
    """What a person does after a heal has ended; empty when there is nothing to do."""
    host, outcome = incident["host"], incident["outcome"]
    if outcome == "relieved":
        return RELIEVED
    if outcome == "escalated":
        what = REPAIR if incident.get("repair") else "A person takes over and looks at the host."
        held = f" Nothing more is done on it until `!bmc resume {host}` or recovery."
        return what + ("" if incident.get("plan_only") else held)
    if outcome == "proposed" and not incident.get("dry_run"):
        if incident.get("mode") == "observe":
            return "Mode is observe: nothing is done."
        if incident.get("approvable"):
            minutes = incident.get("proposal_minutes", 30)
            return f"To do it, within {minutes} minutes: `!bmc heal {host} {incident['id']}`."
    retry_at = (incident.get("ending") or {}).get("retry_at")
    return f"Not before {utc(retry_at)}." if outcome == "refused" and retry_at else ""


def refused(host: str, outcome: str, sentence: str) -> tuple[str, str]:
    """Title and body for a heal that begin_heal did not let begin."""
    return TITLES[outcome].format(host=host or "unknown host"), sentence


def mass_outage(label: str, hosts: list[str], silent: int = 0) -> tuple[str, str]:
    """Title and body when many BMCs fell silent at once.

    :param hosts: some of them, or all; `silent`: how many there are, 0 when all are given
    """
    count = max(silent, len(hosts))
    named = ", ".join(hosts[:10]) + (f" and {count - 10} more" if count > 10 else "")
    return (
        f"{label}: {count} BMCs silent at once",
        "A switch or the management network, not the BMCs: nothing is reset until they answer. "
        f"Hosts: {named}",
    )


def firmware(bios: str | None, bmc: str | None) -> str:
    """Both versions: the proper fix of a BMC that hangs is a newer firmware."""
    return f"BIOS {bios or 'unknown'}, BMC firmware {bmc or 'unknown'}"


def advice(incident: Mapping[str, Any]) -> list[str]:
    """How a person may keep kipmi off the host's CPU meanwhile; empty where no kipmi polls."""
    host = (incident.get("evidence") or {}).get("host") or {}
    if not host.get("kipmi"):
        return []
    if "ipmi_si" in (host.get("builtin") or []):
        how = "`ipmi_si.force_kipmid=0` on the kernel command line, and a reboot"
    else:
        how = "`options ipmi_si force_kipmid=0` in /etc/modprobe.d, from the next load of ipmi_si on"
    return [f"For a host without kipmi until then, at the price of slow IPMI (never done by itself): {how}."]


def facts(incident: Mapping[str, Any]) -> list[str]:
    """The firmware facts that belong in every hand-over, and the evidence a person asks for first."""
    evidence = incident.get("evidence") or {}
    host, bmc = evidence.get("host") or {}, evidence.get("bmc") or {}
    known = incident.get("known") or {}
    bios = host.get("bios") or evidence.get("bios_remembered") or known.get("bios")
    bmc_firmware = bmc.get("firmware") or evidence.get("bmc_firmware_remembered") or known.get("firmware")
    lines = [
        f"Machine: {host.get('machine') or 'unknown'}, {firmware(bios, bmc_firmware)}, "
        f"kernel {host.get('kernel') or 'unknown'}"
    ]
    if evidence.get("symptoms"):
        lines.append(f"Symptoms: {', '.join(evidence['symptoms'])}")
    return lines


def _last(incident: Mapping[str, Any], name: str) -> str:
    return next((s["sentence"] for s in reversed(incident["steps"]) if s["step"] == name), "")
