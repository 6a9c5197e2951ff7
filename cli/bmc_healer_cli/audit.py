"""The command `audit`: does every host have what `auto` needs? Looks at hosts and BMCs, changes nothing."""

from __future__ import annotations

from typing import Annotated

import typer

from bmc_healer.audit import HostAudit
from bmc_healer.verbs.audit import Audit, choose
from bmc_healer_cli import audit_report, engine, exits, show
from bmc_healer_cli.audit_progress import progress
from bmc_healer_cli.options import Options
from bmc_healer_cli.output import Output


def audit(
    options: Options,
    hosts: Annotated[
        list[str] | None, typer.Argument(metavar="[HOST]...", help="Only these.", show_default=False)
    ] = None,
    label: Annotated[str, typer.Option(help="Only hosts with this label, e.g. rack=r12.")] = "",
) -> None:
    """Say what hosts lack before `mode: auto`: SSH, sudo, ipmitool, driver, BMC login, identity."""
    if hosts and label:
        raise typer.BadParameter("give hosts or a label, not both")
    runtime = engine.runtime(options)
    chosen = choose(runtime, hosts or (), label)
    console = Output()
    found: dict[str, HostAudit] = {}
    looking = Audit(runtime, chosen)
    try:
        with progress(console, len(chosen), looking.waiting, quiet=options.json) as told:
            for result in looking:
                found[result.host] = result
                told(result)
    except KeyboardInterrupt:
        pass
    audits = [found[host.name] for host in chosen if host.name in found]
    sentence = audit_report.summary(audits, len(chosen), runtime.config.mode)
    warning = runtime.inventory.warning
    if options.json:
        show.json_document(audit_report.document(audits, len(chosen), sentence, warning))
    else:
        audit_report.show(console, audits, sentence, warning)
    if len(audits) < len(chosen):
        raise typer.Exit(exits.INTERRUPTED)
    raise typer.Exit(exits.INCOMPLETE if any(result.missing for result in audits) else exits.DONE)
