"""What makes the healer stand still: latches, pauses, mass outages, stopped credentials."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict

from bmc_healer.state import keys
from bmc_healer.state.documents import BadLogin, Latch, MassOutage, Pause, StoppedCredential
from bmc_healer.state.store import Store
from bmc_healer.state.views import fleet_view

BAD_LOGINS = 2  # BMCs that refuse one credential: then the credential is wrong, not the BMC (SAFETY 7)
BAD_LOGIN_SECONDS = 86400.0


class Stops:
    """The part of `HealState` that sets and lifts them; guardrails and deeds read them."""

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock

    def latch(self, host: str, incident: str, sentence: str) -> None:
        """Nothing more by itself on this host until `unlatch`."""
        latch = Latch(incident, sentence, self._clock())
        self._store.write(keys.key(keys.host(host), "latch"), asdict(latch))

    def unlatch(self, host: str) -> None:
        """A person or the host's recovery lifts the latch."""
        self._store.delete(keys.key(keys.host(host), "latch"))

    def pause(self, target: str, *, by: str, reason: str, until: float | None = None) -> None:
        """:param target: `fleet`, `host=<name>` or a label as `key=value`."""
        now = self._clock()
        ttl = None if until is None else until - now
        pause = Pause(target, by, reason, now, until)
        self._store.write(keys.key(keys.FLEET, "pause", target), asdict(pause), ttl=ttl)

    def resume(self, target: str) -> None:
        """End a pause; of a host (`host=<name>`) also its latch."""
        self._store.delete(keys.key(keys.FLEET, "pause", target))
        if target.startswith("host="):
            self.unlatch(target.removeprefix("host="))

    def declare_mass_outage(self, label: str, hosts: Iterable[str], until: float, by: str = "") -> None:
        """:param label: `fleet` or a label as `key=value`
        :param by: which watch says so: another's is not ended by this one's end
        """
        now = self._clock()
        outage = MassOutage(label, tuple(sorted(hosts)), now, until)
        self._store.write(keys.key(keys.FLEET, "mass", label, by), asdict(outage), ttl=until - now)

    def end_mass_outage(self, label: str, by: str = "") -> None:
        """It is over, as that watch saw."""
        self._store.delete(keys.key(keys.FLEET, "mass", label, by))

    def bad_login(self, credential: str, bmc_address: str) -> bool:
        """A BMC refused the credential; True when it is stopped everywhere now."""
        bad = BadLogin(credential, bmc_address, self._clock())
        name = keys.key(keys.FLEET, "badlogin", credential, bmc_address)
        self._store.write(name, asdict(bad), ttl=BAD_LOGIN_SECONDS)
        bmcs = {bad.bmc_address for bad in self._bad_logins(credential)}
        if len(bmcs) < BAD_LOGINS:
            return False
        self.stop_credential(credential, f"refused by {', '.join(sorted(bmcs))}")
        return True

    def stop_credential(self, name: str, reason: str) -> None:
        """No login with it any more: repeated wrong ones lock accounts."""
        stop = StoppedCredential(name, reason, self._clock())
        self._store.write(keys.key(keys.FLEET, "stopped", name), asdict(stop))

    def allow_credential(self, name: str) -> None:
        """A person has mended it."""
        for bad in self._bad_logins(name):
            self._store.delete(keys.key(keys.FLEET, "badlogin", name, bad.bmc_address))
        self._store.delete(keys.key(keys.FLEET, "stopped", name))

    def _bad_logins(self, credential: str) -> list[BadLogin]:
        bad_logins = fleet_view(self._store.read(keys.FLEET)).bad_logins
        return [bad for bad in bad_logins if bad.credential == credential]
