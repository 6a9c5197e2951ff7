"""Hosts from their documents: defaults merged in, and the checks that a schema cannot express."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from bmc_healer.config import names
from bmc_healer.config.document import where
from bmc_healer.config.names import printable
from bmc_healer.config.settings import BmcSettings, HostSettings, RedfishSettings, SshSettings, Transport
from bmc_healer.errors import ConfigError


def merge(document: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    """The host's document with `defaults.ssh` and (where it has a BMC) `defaults.bmc` under it."""
    merged = {**document, "ssh": {**defaults.get("ssh", {}), **document.get("ssh", {})}}
    if "bmc" in document:
        merged["bmc"] = {**defaults.get("bmc", {}), **document["bmc"]}
    return merged


def settings(name: str, merged: dict[str, Any]) -> HostSettings:
    """The typed host; `merged` has passed the schema and `merge`.

    What many hosts have in common they share: ten thousand of them are held at once.
    """
    name = name.lower()
    bmc = dict(merged.get("bmc", {}))
    redfish = bmc.pop("redfish", None)
    if "credential" in bmc:
        bmc["credential"] = sys.intern(bmc["credential"])
    return HostSettings(
        name=name,
        address=merged.get("address", name),
        transport=_TRANSPORTS[merged.get("transport", "ssh")],
        ssh=_ssh(**merged["ssh"]),
        bmc=BmcSettings(**bmc, redfish=RedfishSettings(**redfish) if redfish else None) if bmc else None,
        labels=_labels(**merged.get("labels", {})),
    )


_TRANSPORTS: dict[str, Transport] = {"ssh": "ssh", "local": "local", "none": "none"}


@lru_cache(maxsize=256)
def _ssh(**members: Any) -> SshSettings:
    return SshSettings(**members)


@lru_cache(maxsize=4096)
def _labels(**labels: str) -> dict[str, str]:
    return labels


def forget_shared() -> None:
    """What hosts made from now on share is made anew."""
    _ssh.cache_clear()
    _labels.cache_clear()


class HostChecks:
    """What must hold for hosts one by one and together; feed every host of a fleet through `add`."""

    def __init__(self, credentials: Iterable[str]) -> None:
        self._credentials = frozenset(credentials)
        self._names: set[str] = set()
        self._bmcs: dict[tuple[str, int], str] = {}

    def add(self, key: str, host: HostSettings, at: str) -> None:
        """:param key: the name as it was written
        :param at: where in the file, for the error
        :raises ConfigError: naming the fault
        """
        if names.host_name(key) is None:
            raise ConfigError(
                f"{printable(key)} is not a host name (RFC 1123: letters, digits, '-' and '.')", at
            )
        if host.name in self._names:
            raise ConfigError("this host is there twice (names are compared in lower case)", at)
        self._names.add(host.name)
        if names.address(host.address) is None:
            raise ConfigError("neither a host name nor an IP address", f"{at}.address")
        if host.bmc is not None:
            self._check_bmc(host.bmc, host.name, at)
        elif host.transport == "none":
            raise ConfigError(
                "no way in: transport is none and there is no bmc", at, "Give it a transport or a bmc"
            )

    def _check_bmc(self, bmc: BmcSettings, host: str, at: str) -> None:
        address = names.address(bmc.address)
        if address is None:
            raise ConfigError("neither a host name nor an IP address", f"{at}.bmc.address")
        if bmc.credential is None:
            raise ConfigError(
                "no credential for this BMC", f"{at}.bmc.credential", "Name one of `credentials`"
            )
        if bmc.credential not in self._credentials:
            what = f"the credential {printable(bmc.credential)} is not defined"
            raise ConfigError(what, f"{at}.bmc.credential", "Define it under `credentials`")
        other = self._bmcs.setdefault((address, bmc.port), host)
        if other != host:
            what = f"{address} port {bmc.port} is already the BMC of {other}"
            raise ConfigError(what, f"{at}.bmc.address", "One of the two would have the other machine reset")


def build(
    documents: dict[str, Any],
    defaults: dict[str, Any],
    checks: HostChecks,
    origin: str,
    section: tuple[str, ...],
) -> dict[str, HostSettings]:
    """All hosts of a section by lower-case name, in order.

    :raises ConfigError: naming file, path and reason
    """
    found: dict[str, HostSettings] = {}
    for key, document in documents.items():
        host = settings(key, merge(document, defaults))
        checks.add(key, host, where(origin, (*section, key)))
        found[host.name] = host
    return found
