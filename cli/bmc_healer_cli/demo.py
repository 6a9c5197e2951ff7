"""The command `demo`: the lab's guest and a hung BMC, from the source checkout."""

from __future__ import annotations

import os
import sys
from enum import Enum
from typing import Annotated

import typer

from bmc_healer.errors import HealerError
from bmc_healer_cli import places
from bmc_healer_cli.options import Options


class Driver(str, Enum):
    """Which ipmi_si the guest has."""

    LEGACY = "legacy"
    STOCK = "stock"


def demo(
    options: Options,
    driver: Annotated[
        Driver, typer.Option(help="The guest's IPMI driver: the older one, or Debian's.")
    ] = Driver.LEGACY,
) -> None:
    """Boot a guest, hang its BMC, and watch it heal; no server needed. As `make demo`."""
    folder = places.pack_dir()
    if not all((folder / room / "__main__.py").exists() for room in ("demo", "lab")):
        what = "there is no lab/ and demo/ beside the pack"
        raise HealerError(what, str(folder), "Run the demo in a checkout of the source: make demo")
    os.chdir(folder)
    # Instead of this process: the terminal, its signals and the exit status are the demo's own.
    os.execv(sys.executable, [sys.executable, "-m", "demo", "--driver", driver.value])  # noqa: S606
