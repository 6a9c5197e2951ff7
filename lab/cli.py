"""The lab by hand: `python -m lab up` in one terminal, its switches in another."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lab import state
from lab.bmc.control import Bmc, Status
from lab.build import build
from lab.errors import LabError
from lab.instance import Lab
from lab.kernel import DEFAULT, SUITES

END_SIGNALS = {signal.SIGINT, signal.SIGTERM}
Switch = Callable[[Bmc, float], Status]

# verb -> (what it does, the switch); SECONDS is 0 where a verb takes none
SWITCHES: dict[str, tuple[str, Switch]] = {
    "status": ("how the BMC is", lambda bmc, _: bmc.status()),
    "hang": ("in-band hangs, the LAN side lives", lambda bmc, _: bmc.hang()),
    "ok": ("in-band works", lambda bmc, _: bmc.ok()),
    "drop": ("in-band loses requests", lambda bmc, _: bmc.drop()),
    "lan-dead": ("the LAN side is silent", lambda bmc, _: bmc.lan_dead()),
    "lan-ok": ("the LAN side works", lambda bmc, _: bmc.lan_ok()),
    "ignore-reset": ("resets are acknowledged and ignored", lambda bmc, _: bmc.ignore_reset()),
    "restore": ("healthy, nothing counted", lambda bmc, _: bmc.restore()),
}
TIMED: dict[str, tuple[str, Switch]] = {
    "slow": ("in-band replies come SECONDS late", lambda bmc, seconds: bmc.slow(seconds)),
    "reboot": ("dark by itself for SECONDS", lambda bmc, seconds: bmc.reboot(seconds)),
    "reset-seconds": ("a reset keeps it dark for SECONDS", lambda bmc, seconds: bmc.reset_seconds(seconds)),
}


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="python -m lab", description=__doc__)
    verbs = top.add_subparsers(dest="verb", required=True, metavar="VERB")

    def add(verb: str, what: str) -> argparse.ArgumentParser:
        added = verbs.add_parser(verb, help=what, description=what)
        added.add_argument("--name", default="labhost", help="which lab (default: %(default)s)")
        return added

    making = add("build", "download and build what a guest needs")
    making.add_argument("--refresh", action="store_true", help="ask the mirror for a newer kernel")
    running = add("up", "boot a guest with its BMC; Ctrl-C ends both")
    running.add_argument("--irq", type=int, default=0, help="of the KCS interface; 0: none, kipmi polls")
    running.add_argument(
        "--reset-seconds", type=float, default=10.0, help="how long a reset keeps the BMC dark"
    )
    running.add_argument("--no-driver", action="store_true", help="leave the IPMI drivers unloaded")
    for one in (making, running):
        one.add_argument("--driver", choices=("legacy", "stock", "builtin"), default="legacy")
        one.add_argument(
            "--kernel", default=DEFAULT, metavar="VERSION", help=f"{', '.join(SUITES)} (default: %(default)s)"
        )
    for verb, (what, _) in SWITCHES.items():
        add(verb, what)
    for verb, (what, _) in TIMED.items():
        add(verb, what).add_argument("seconds", type=float)
    for verb, what in (("guest", "a shell command in the guest"), ("oob", "ipmitool over the LAN side")):
        add(verb, what).add_argument("words", nargs=argparse.REMAINDER, metavar="ARG")
    return top


def main(argv: list[str]) -> int:
    """Run one verb; the exit status."""
    arguments = parser().parse_args(argv)
    try:
        return run(arguments)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1


def run(arguments: argparse.Namespace) -> int:
    """The verb's exit status; `guest` and `oob` become the command they run."""
    if arguments.verb == "build":
        started = time.monotonic()
        built = build(arguments.driver, arguments.kernel, refresh=arguments.refresh)
        print(f"{built.kernel.release}, {arguments.driver} driver, {time.monotonic() - started:.1f} s")
    elif arguments.verb == "up":
        up(arguments)
    else:
        known = instance(arguments.name)
        if arguments.verb in ("guest", "oob"):
            os.environ["IPMI_PASSWORD"] = known["password"]
            command = [*known[arguments.verb], *arguments.words]
            os.execvp(command[0], command)  # noqa: S606 - there is no shell in between
        _, switch = {**SWITCHES, **TIMED}[arguments.verb]
        print(
            json.dumps(
                asdict(switch(Bmc(known["control_port"]), getattr(arguments, "seconds", 0.0))), indent=2
            )
        )
    return 0


def up(arguments: argparse.Namespace) -> None:
    """Boot, say how to reach it, wait for Ctrl-C (or SIGTERM)."""
    record = record_of(arguments.name)
    with Lab(
        name=arguments.name,
        driver=arguments.driver,
        kernel=arguments.kernel,
        irq=arguments.irq,
        reset_seconds=arguments.reset_seconds,
        load_driver=not arguments.no_driver,
    ) as lab:
        known = {
            "control_port": lab.sim.control_port,
            "password": lab.password,
            "guest": lab.ssh_command(),
            "oob": lab.sim.oob_command(),
        }
        record.write_text(json.dumps(known))
        try:
            print(f"{lab.name} is up after {lab.boot_seconds:.1f} s; logs in {lab.run_dir}")
            print(f"SSH   {' '.join(lab.ssh_command())}")
            print(f"LAN   127.0.0.1 port {lab.lan_port}, {lab.user}/{lab.password}")
            print(
                "Ctrl-C ends it. In another terminal: python -m lab hang, python -m lab guest kcpu",
                flush=True,
            )
            signal.pthread_sigmask(signal.SIG_BLOCK, END_SIGNALS)
            signal.sigwait(END_SIGNALS)
        finally:
            record.unlink()


def record_of(name: str) -> Path:
    """Where `up` leaves what the other verbs need."""
    directory = state.state_dir() / "up"
    directory.mkdir(exist_ok=True)
    return directory / f"{name}.json"


def instance(name: str) -> dict[str, Any]:
    """What `up` left.

    :raises LabError: no lab of that name is up
    """
    try:
        known: dict[str, Any] = json.loads(record_of(name).read_text())
    except FileNotFoundError as error:
        raise LabError(f"no lab {name!r} is up; start it with: python -m lab up --name {name}") from error
    return known
