"""A suspect's last word: one session with a deadline, a few at once, and never twice with a refused login.

Those that a ping does not reach are sorted out before, all in one sweep (`bmc.py`): they would take a place
each for as long as the ping waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from bmc_healer.bmc.address import Peer
from bmc_healer.bmc.facts import Login
from bmc_healer.bmc.session import look
from bmc_healer.config.secrets import BmcLogin, bmc_login
from bmc_healer.config.settings import Config, HostSettings
from bmc_healer.errors import BmcError, ConfigError

from .wire import Lines

AT_ONCE = 8  # sessions, each a process of its own


class Given:
    """The secrets that the sensor read from its datastore, as a datastore."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        self._secrets = secrets

    def get_value(self, name: str, local: bool = True, *, decrypt: bool = False) -> str | None:
        """The value of a key, or None."""
        return self._secrets.get(name)


class Confirm:
    """:param secrets: values of the credentials' `password_key`s
    :param stopped: credentials that must not be used: a BMC refused them before
    """

    def __init__(
        self, config: Config, secrets: Mapping[str, str], stopped: Collection[str], lines: Lines
    ) -> None:
        self._config = config
        self._given = Given(secrets)
        self._stopped = set(stopped)
        self._lines = lines
        self._free = asyncio.Semaphore(AT_ONCE)
        self._threads = ThreadPoolExecutor(AT_ONCE, "confirm")  # asyncio has 6 on 2 cores
        self._told: set[str] = set()

    async def ask(self, host: HostSettings, peer: Peer) -> str | None:
        """Why the BMC counts as silent; None when it answers, even if it lets nobody in."""
        credential = host.bmc.credential if host.bmc else None
        async with self._free:
            login = self._login(credential)
            asking = partial(look, *peer, login, limit=self._config.ladder.session_limit)
            try:
                found = await asyncio.get_running_loop().run_in_executor(self._threads, asking)
            except BmcError as error:
                return error.sentence
        if found.login is Login.REFUSED and credential is not None:
            self._stopped.add(credential)
            self._lines.put({"bad_login": {"credential": credential, "bmc": f"{peer[0]}:{peer[1]}"}})
        return None if found.alive else found.error or "no answer on the LAN"

    def _login(self, credential: str | None) -> BmcLogin | None:
        if credential is None or credential in self._stopped:
            return None
        try:
            return bmc_login(self._config, credential, self._given)
        except ConfigError as error:
            if error.sentence not in self._told:
                self._told.add(error.sentence)
                self._lines.log("warning", error.sentence)
            return None
