"""What a verb works with: configuration, state, the way to the host and to its BMC, clock and log."""

from __future__ import annotations

import logging
import os
import secrets
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bmc_healer.bmc.facts import BmcFacts, Login
from bmc_healer.config.inventory import Inventory
from bmc_healer.config.load import from_dict
from bmc_healer.config.secrets import BmcLogin, bmc_login
from bmc_healer.config.settings import Config, HostSettings, RedfishSettings
from bmc_healer.errors import ConfigError, StateError
from bmc_healer.state.heal_state import HealState
from bmc_healer.state.installation import first_telling, installation
from bmc_healer.state.refs import HealRef
from bmc_healer.state.stamp import utc
from bmc_healer.state.store import Datastore, Store

if TYPE_CHECKING:
    from bmc_healer.executions import Executions
    from bmc_healer.host.access import HostAccess


def _in_argv() -> bool:
    """StackStorm's python runner passes the whole configuration as `--config=<json>`: `ps` shows it."""
    return any(argument.startswith("--config=") for argument in sys.argv)


class Runtime:
    """Everything that reaches outside, made once per action; tests make it with their own parts.

    :param clock: epoch seconds, which may be set meanwhile: for what is written down and compared later
    :param steady: seconds of a clock that nobody sets: for every wait
    :raises ConfigError: the configuration is not usable
    """

    def __init__(
        self,
        config: Mapping[str, Any] | Config,
        datastore: Datastore,
        *,
        logger: logging.Logger | None = None,
        environ: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.config = (
            config
            if isinstance(config, Config)
            else from_dict(dict(config), origin="the pack's configuration", plain_secrets=not _in_argv())
        )
        self.inventory = Inventory(self.config)
        self.datastore = datastore
        self.logger = logger or logging.getLogger("bmc_healer")
        self.environ = os.environ if environ is None else environ
        self.clock = clock
        self.steady = steady
        self.sleep = sleep
        self.executions = self._executions()
        parent = os.getppid()  # of an action: the engine's process that waits for its result
        self.state = HealState(
            datastore,
            clock=clock,
            steady=steady,
            sleep=sleep,
            executions=self.executions,
            orphaned=lambda: os.getppid() != parent,
        )
        self._store = Store(datastore, clock)

    def _executions(self) -> Executions | None:
        from bmc_healer.executions import ApiExecutions

        url = self.environ.get("ST2_ACTION_API_URL", "")
        return ApiExecutions(url, self.environ.get("ST2_ACTION_AUTH_TOKEN", "")) if url else None

    def host(self, name: str) -> HostSettings:
        """The settings of one host; names are compared in lower case.

        :raises UnknownHostError: the name is malformed or nobody's
        """
        return self.inventory.host(name)

    def access(self, host: HostSettings) -> HostAccess:
        """The way onto a host; entering it raises HostAccessError."""
        from bmc_healer.host import open_access

        return open_access(host)

    def login(self, host: HostSettings) -> BmcLogin:
        """The credential of a host's BMC, read at the moment it is needed.

        :raises ConfigError: the host has no credential, or it cannot be read
        """
        if host.bmc is None or host.bmc.credential is None:
            raise ConfigError("no BMC credential is configured", host.name, "set bmc.credential")
        return bmc_login(self.config, host.bmc.credential, self.datastore)

    def look_at_bmc(self, host: HostSettings, pinned: str | None, *, session: bool = True) -> BmcFacts | None:
        """Look at the BMC over the LAN; None when the host has none configured.

        A credential that cannot be read is a failed session: what needs none can still be done.

        :param pinned: the address that this heal holds on to, without the port
        """
        from bmc_healer.bmc import session as bmc_session
        from bmc_healer.bmc.ping import ping

        if host.bmc is None or pinned is None:
            return None
        if host.bmc.credential is None or not session:
            alive = ping(pinned, host.bmc.port)
            return BmcFacts(self.clock(), pinned, alive, error="" if alive else "no answer to the ping")
        refused = self.refused_before(host.bmc.credential, f"{pinned}:{host.bmc.port}")
        if refused:
            seen = bmc_session.look(pinned, host.bmc.port, None, limit=self.config.ladder.session_limit)
            return replace(seen, login=Login.REFUSED, error=refused)
        try:
            login = self.login(host)
        except ConfigError as error:
            alive = ping(pinned, host.bmc.port)
            return BmcFacts(self.clock(), pinned, alive, login=Login.FAILED, error=error.sentence)
        facts = bmc_session.look(pinned, host.bmc.port, login, limit=self.config.ladder.session_limit)
        if facts.alive and facts.login is Login.FAILED and host.bmc.redfish is not None:
            facts = self._by_redfish(host.bmc.redfish, facts, login)
        if facts.login is Login.REFUSED:
            self.state.bad_login(host.bmc.credential, f"{pinned}:{host.bmc.port}")
        return facts

    def _by_redfish(self, settings: RedfishSettings, lan: BmcFacts, login: BmcLogin) -> BmcFacts:
        """A BMC that answers pings and gives no session may still have Redfish: the second way in."""
        from bmc_healer.bmc import redfish

        seen = redfish.look(settings, login, limit=self.config.ladder.session_limit)
        if seen.login is Login.FAILED:
            return lan
        return replace(seen, address=lan.address, guid=lan.guid or seen.guid)

    def refused_before(self, credential: str, address: str) -> str:
        """Why this login is not tried: this BMC has refused it, or it is stopped everywhere; else empty.

        :param address: the BMC's own, pinned, with its IPMI port, whichever way a login takes: `10.1.0.5:623`
        """
        fleet = self.state.fleet()
        stop = fleet.stop_of(credential)
        if stop is not None:
            return f"the credential {credential} is stopped: {stop.reason}"
        for bad in fleet.bad_logins:
            if (bad.credential, bad.bmc_address) == (credential, address):
                return (
                    f"the BMC refused the credential {credential} at {utc(bad.at)}; "
                    f"mend it, then: bmc resume credential:{credential}"
                )
        return ""

    def ref(self, parameters: Mapping[str, Any]) -> HealRef:
        """The heal that an action acts for, as begin_heal made it.

        :raises StateError: the heal does not hold the lock of this host
        """
        host, incident = str(parameters["host"]).lower(), str(parameters["incident"])
        lock = self.state.fleet().lock_of(incident)
        if lock is None or lock.host != host:
            raise StateError(
                f"{incident or 'no heal'} does not hold the lock", host, "Start a heal: bmc heal"
            )
        return HealRef(host, incident, self.state.host(host).fence.number, lock.execution, lock.bmc_address)

    def owner(self) -> str:
        """The id under which hosts are leased: that of this StackStorm, or of this embedded runner."""
        return installation(self._store, secrets.token_hex(4))

    def first_telling(self, host: str, rule: str) -> bool:
        """Whether chat has not heard of this refusal within the hour."""
        return first_telling(self._store, host, rule)
