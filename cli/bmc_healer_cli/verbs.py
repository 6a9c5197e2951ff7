"""The commands that are actions of the pack: heal, diagnose, sweep, status, pause, resume."""

from __future__ import annotations

from typing import Annotated

import typer

from bmc_healer.config.inventory import Inventory
from bmc_healer.plan import RUNGS
from bmc_healer_cli import engine
from bmc_healer_cli.options import Options
from bmc_healer_cli.perform import perform

Host = Annotated[str, typer.Argument(help="Name of a host of the configuration or the inventory.")]
Target = Annotated[str, typer.Argument(help="A host, a label such as rack=r12, or fleet.")]


def _rungs(text: str) -> list[str]:
    chosen = [rung.strip() for rung in text.split(",") if rung.strip()]
    if not chosen or any(rung not in RUNGS for rung in chosen):
        raise typer.BadParameter(f"choose from {', '.join(RUNGS)}, separated by commas; the order is fixed")
    return [rung for rung in RUNGS if rung in chosen]


def heal(
    options: Options,
    host: Host,
    force: Annotated[
        bool, typer.Option("--force", help="Also without symptoms and in spite of the cooldown.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Look, and say what would be done.")] = False,
    rungs: Annotated[str, typer.Option(help=f"Only these, of {','.join(RUNGS)}.")] = ",".join(RUNGS),
    incident: Annotated[str, typer.Option(help="The proposal that this heal approves.")] = "",
    reason: Annotated[str, typer.Option(help="Why; chat and the report show it.")] = "",
) -> None:
    """Heal a host whose BMC has hung, with a gate after every rung."""
    why = reason or f"asked for on the command line by {engine.user()}"
    parameters = {"host": host, "reason": why, "rungs": _rungs(rungs), "force": force, "dry_run": dry_run}
    perform(options, "heal", {**parameters, "approves": incident})


def diagnose(options: Options, host: Host) -> None:
    """Look at a host and its BMC and say what is wrong. Changes nothing."""
    _known(options, host)
    perform(options, "diagnose", {"host": host})


def sweep(
    options: Options,
    label: Annotated[str, typer.Option(help="Only hosts with this label, e.g. rack=r12.")] = "",
) -> None:
    """Ask every BMC for one answer, without a login, and name the silent ones."""
    perform(options, "sweep", {"label": label})


def status(
    options: Options,
    host: Annotated[str, typer.Argument(help="A host; without it the fleet.", show_default=False)] = "",
) -> None:
    """Say what is known of the fleet, or of one host."""
    if host:
        _known(options, host)
    perform(options, "status", {"host": host})


def pause(
    options: Options,
    target: Target,
    minutes: Annotated[int, typer.Option(min=0, help="For how long; 0: until resumed.")] = 0,
    reason: Annotated[str, typer.Option(help="Everybody who is refused reads it.")] = "maintenance",
) -> None:
    """Hold all heals of a host, a label or the fleet."""
    given = {"target": target, "minutes": minutes, "reason": reason, "user": engine.user()}
    perform(options, "pause", given)


def resume(options: Options, target: Target) -> None:
    """End a pause, and let an escalated host be healed again."""
    perform(options, "resume", {"target": target})


def _known(options: Options, host: str) -> None:
    """A name that nobody has is a mistake of the command line; nothing is started for it."""
    _, config = engine.load(options)
    Inventory(config).host(host)
