"""The way to packrunner: a runner for this pack, and the healer's state in the runner's datastore."""

from __future__ import annotations

import getpass
import logging
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bmc_healer.config.load import from_dict, read_raw
from bmc_healer.config.settings import Config
from bmc_healer.errors import ConfigError, HealerError
from bmc_healer.state.heal_state import HealState
from bmc_healer.verbs.runtime import Runtime
from bmc_healer_cli import places
from bmc_healer_cli.options import Options
from packrunner.database import FILE_NAME
from packrunner.events import Event
from packrunner.runner import PackRunner
from packrunner.services import DatastoreService

PACK = "bmc_healer"


def user() -> str:
    """Who asks, for the record."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name
        return str(os.getuid())


def load(options: Options) -> tuple[dict[str, object], Config]:
    """The configuration as the pack gets it, and the same checked and typed.

    :raises ConfigError: naming file, path and reason
    """
    path = places.config_file(options.config, os.environ)
    raw = read_raw(path)
    return raw, from_dict(raw, origin=str(path), plain_secrets=True)


@contextmanager
def runner(options: Options, on_event: Callable[[Event], None] | None = None) -> Iterator[PackRunner]:
    """A runner of this pack.

    :raises HealerError: the configuration or the state directory cannot be used
    :raises PackRunnerError: the pack cannot be used
    """
    raw, _ = load(options)
    folder = state_dir(options)
    with _database(folder), PackRunner(places.pack_dir(), raw, folder, on_event=on_event) as running:
        yield running


def state(options: Options) -> HealState:
    """The healer's state, for reading; no runner is started.

    :raises HealerError: the state directory cannot be used
    """
    return HealState(_datastore(options))


def runtime(options: Options) -> Runtime:
    """What the library's own verbs work with, for those that are no actions; no runner is started.

    :raises HealerError: the configuration or the state directory cannot be used
    """
    _, config = load(options)
    return Runtime(config, _datastore(options))


def _datastore(options: Options) -> DatastoreService:
    return DatastoreService(state_dir(options) / FILE_NAME, PACK, "cli", logging.getLogger("bmc_healer"))


def state_dir(options: Options) -> Path:
    """The state directory, made when it is not there.

    :raises ConfigError: it cannot be made or written
    """
    folder = places.own_state_dir(options.state_dir)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        what = f"the state directory cannot be made: {error.strerror}"
        raise ConfigError(what, str(folder), "Name another one with --state-dir") from None
    if not os.access(folder, os.W_OK):
        what = "the state directory cannot be written"
        raise ConfigError(what, str(folder), "Name another one with --state-dir, or use sudo")
    return folder


@contextmanager
def _database(folder: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise HealerError(f"the database cannot be used: {error}", str(folder)) from error
