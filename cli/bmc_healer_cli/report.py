"""An incident as text for the person who takes over: pure, from the incident's document to lines."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from bmc_healer.state.stamp import utc
from bmc_healer_cli.clean import clean
from bmc_healer_cli.progress import label

_MANY = 5  # clients and holders that are named, the rest is counted


def lines(incident: Mapping[str, Any], now: float) -> list[str]:
    """The whole report; `now` (epoch seconds) tells how long a running heal has lasted."""
    parts = (
        *_head(incident, now),
        "",
        "Steps",
        *_steps(incident),
        "",
        "Evidence",
        *evidence(incident.get("evidence") or {}),
    )
    return [clean(line).replace("\n", " ") for line in parts]


def wrap(line: str, width: int) -> str:
    """The line within `width` columns; what follows stands below the text, not below its label."""
    head = re.match(r"\s*(?:\S+(?: \S+)*\s{2,})?", line)
    indent = " " * (head.end() if head else 0)
    return "\n".join(textwrap.wrap(line, max(width, 40), subsequent_indent=indent, break_on_hyphens=False))


def outcome(incident: Mapping[str, Any]) -> str:
    """`healed by oob`, or `running`."""
    text = str(incident.get("outcome") or "running")
    return f"{text} by {incident['healed_by']}" if incident.get("healed_by") else text


def duration(seconds: float) -> str:
    """`2 min 31 s`."""
    whole = int(max(0.0, seconds))
    hours, minutes = divmod(whole // 60, 60)
    parts = [(hours, "h"), (minutes, "min"), (whole % 60, "s")]
    shown = [f"{count} {unit}" for count, unit in parts if count]
    return " ".join(shown) or "0 s"


def _head(incident: Mapping[str, Any], now: float) -> Iterator[str]:
    started = float(incident["started_at"])
    took = duration((incident.get("ended_at") or now) - started)
    yield f"Incident   {incident['id']}"
    yield f"Host       {incident['host']}"
    yield f"Outcome    {outcome(incident)}"
    if incident.get("sentence"):
        yield f"           {incident['sentence']}"
    yield f"When       {utc(started)}, {took}"
    yield f"Why        {incident.get('reason') or 'not said'} ({incident.get('source') or 'unknown source'})"
    if incident.get("mode"):
        yield f"Mode       {incident['mode']}{', dry run' if incident.get('dry_run') else ''}"
    if incident.get("diagnosis"):
        yield f"Diagnosis  {incident['diagnosis']}"
    if incident.get("plan"):
        yield f"Plan       {' -> '.join(incident['plan'])}"
    for rung, why in (incident.get("left_out") or {}).items():
        yield f"Left out   {rung}: {why}"
    if incident.get("execution"):
        yield f"Execution  {incident['execution']}"


def _steps(incident: Mapping[str, Any]) -> Iterator[str]:
    steps = incident.get("steps") or []
    if not steps:
        yield "  none"
    for step in steps:
        at = utc(float(step["at"]))[11:19] if step.get("at") else "        "
        verdict, seconds = step.get("verdict") or "no verdict", float(step.get("seconds") or 0)
        yield f"  {at}  {label(str(step.get('step')))}  [{verdict}, {seconds:.1f} s]"
        if step.get("sentence"):
            yield f"            {step['sentence']}"
        for warning in step.get("warnings") or ():
            yield f"            Warning: {warning}"


def evidence(found: Mapping[str, Any]) -> Iterator[str]:
    """What a diagnosis found, its highlights: a line each."""
    host, bmc = found.get("host") or {}, found.get("bmc") or {}
    if not found:
        yield "  none was collected"
        return
    if found.get("symptoms"):
        yield f"  symptoms   {', '.join(found['symptoms'])}"
    if found.get("in_band") or found.get("lan"):
        sides = f"in-band {found.get('in_band')}, LAN {found.get('lan')}"
        yield f"  BMC        {sides}{_bmc(found, bmc)}"
    if identity := found.get("identity"):
        yield f"  identity   {identity.get('sentence')}"
    if found.get("host_error"):
        yield f"  host       {found['host_error']}"
    if host:
        yield from _host(host)


def _bmc(found: Mapping[str, Any], bmc: Mapping[str, Any]) -> str:
    firmware = bmc.get("firmware") or found.get("bmc_firmware_remembered")
    parts = [f"firmware {firmware}" if firmware else "", str(bmc.get("error") or "")]
    return "".join(f", {part}" for part in parts if part)


def _host(host: Mapping[str, Any]) -> Iterator[str]:
    bios = f", BIOS {host['bios']}" if host.get("bios") else ""
    yield f"  machine    {host.get('machine') or 'unknown'}{bios}, kernel {host.get('kernel') or 'unknown'}"
    yield f"  load       {host.get('load1')}, iowait {host.get('iowait_percent')} %"
    for thread in host.get("kipmi") or ():
        yield f"  kipmi      {thread['name']} (pid {thread['pid']}) {thread['cpu_percent']} % of a core"
    for name, windows in (host.get("counters") or {}).items():
        if windows:
            seconds, completed, timeouts = (
                sum(window[key] for window in windows) for key in ("seconds", "completed", "timeouts")
            )
            yield f"  counters   {name}: {completed} completed, {timeouts} timeouts in {seconds:.0f} s"
    yield from _clients(host)
    for holder in (host.get("holders") or [])[:_MANY]:
        yield f"  holder     {holder['device']}: {holder['program']} (pid {holder['pid']})"
    if modules := host.get("modules"):
        counted = (f"{name} ({facts['refcount']})" for name, facts in modules.items())
        yield f"  modules    {', '.join(counted)}"
    if host.get("throttle_us") is not None:
        yield f"  throttle   kipmid_max_busy_us {host['throttle_us']}"
    if host.get("watchdog_module"):
        yield "  watchdog   ipmi_watchdog is loaded"


def _clients(host: Mapping[str, Any]) -> Iterator[str]:
    clients = sorted(host.get("clients") or (), key=lambda client: -float(client["age_seconds"]))
    count = host.get("clients_count") or len(clients)
    if count:
        yield f"  clients    {count} IPMI processes, the oldest:"
    for client in clients[:_MANY]:
        name = f"{client['program']} {client['subcommand']}".strip()
        waits = f" in {client['wchan']}" if client.get("wchan") else ""
        age = duration(client["age_seconds"])
        yield f"             {name} (pid {client['pid']}) {age}, {client['state']}{waits}"
