"""Where things are: the configuration file, the state directory, the pack."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from bmc_healer.config.schema import SCHEMA_FILE
from bmc_healer.errors import ConfigError

CONFIG_VARIABLE = "BMC_HEALER_CONFIG"
CONFIG_FILES = (Path("bmc_healer.yaml"), Path("/etc/bmc_healer/bmc_healer.yaml"))


def config_file(given: Path | None, environ: Mapping[str, str]) -> Path:
    """The file asked for, else the one of the environment, else the first that exists.

    :raises ConfigError: there is none
    """
    if given is not None:
        return given
    if named := environ.get(CONFIG_VARIABLE):
        return Path(named)
    for candidate in CONFIG_FILES:
        if candidate.exists():
            return candidate.absolute()
    looked = ", ".join(map(str, CONFIG_FILES))
    do = "Copy bmc_healer.yaml.example and choose a mode, or name one with --config"
    raise ConfigError(f"no configuration file (looked for {looked})", do=do)


def state_dir(given: Path | None, user_id: int, home: Path) -> Path:
    """Where executions, locks and incidents are kept: /var/lib for root, else below the user's home."""
    if given is not None:
        return given.absolute()
    return Path("/var/lib/bmc_healer") if user_id == 0 else home / ".local/state/bmc_healer"


def pack_dir() -> Path:
    """The pack that this library belongs to.

    :raises ConfigError: the library is installed without its pack
    """
    folder = SCHEMA_FILE.parent
    if not (folder / "pack.yaml").exists():
        what = "no pack.yaml: the command line runs the pack from its own folder"
        raise ConfigError(what, str(folder), "Install from a checkout with `pip install -e`")
    return folder


def own_state_dir(given: Path | None) -> Path:
    """`state_dir` for whoever runs this."""
    return state_dir(given, os.geteuid(), Path.home())
