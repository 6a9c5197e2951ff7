"""The commands that look back: incidents and report."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer

from bmc_healer.config.names import printable
from bmc_healer.errors import HealerError
from bmc_healer_cli import engine, report, show
from bmc_healer_cli.options import Options
from bmc_healer_cli.output import Output


class UnknownIncidentError(HealerError):
    """There is no incident with this id."""


def incidents(
    options: Options,
    host: Annotated[str, typer.Option(help="Only those of this host.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="How many, the newest first.")] = 20,
) -> None:
    """List what was healed, or tried."""
    found = engine.state(options).incidents(limit, host.lower() or None)
    if options.json:
        show.json_document({"incidents": found})
        return
    console = Output()
    if not found:
        console.print("No incident is known.")
        return
    show.table(console, [_brief(incident) for incident in found])


def report_command(
    options: Options,
    incident_id: Annotated[str, typer.Argument(metavar="ID", help="As `incidents` lists it.")],
) -> None:
    """Print one incident: outcome, rungs and gates with times, evidence."""
    found = engine.state(options).incident(incident_id)
    if found is None:
        raise UnknownIncidentError(
            f"there is no incident {printable(incident_id)}", do="See the ids with bmc-healer incidents"
        )
    if options.json:
        show.json_document(found)
        return
    show.lines(Output(), report.lines(found, time.time()))


def _brief(incident: dict[str, Any]) -> dict[str, Any]:
    ended = incident.get("ended_at") or time.time()
    return {
        "id": incident["id"],
        "outcome": report.outcome(incident),
        "took": report.duration(ended - incident["started_at"]),
        "why": incident.get("sentence") or incident.get("reason") or "",
    }
