"""Which of the host's processes are IPMI clients, which of them hang, and which may be ended. Pure.

Every kernel shows a hung client as waiting in select or poll (S), or in D (KERNELS); a client that runs, or
waits for a pipe or a terminal, does not hang.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..config.settings import WatchSettings
from .facts import ClientProcess, HostFacts

OWN_PROBE_SECONDS = 75.0  # SAFETY 8: the pack's own probe is left alone this long
_WAITS = ("select", "poll", "ipmi", "wait_for_msg")


def hung(client: ClientProcess, settings: WatchSettings) -> bool:
    """A one-shot command to this machine's BMC that has waited longer than the limit."""
    if client.kind != "client" or not client.inband or client.age_seconds <= settings.hung_client_seconds:
        return False
    if client.state == "D":
        return True
    # "0" or nothing: this kernel or our rights do not show where it waits
    unknown = client.wchan in ("", "0")
    return client.state == "S" and (unknown or any(name in client.wchan for name in _WAITS))


def reapable(clients: Iterable[ClientProcess], settings: WatchSettings) -> list[ClientProcess]:
    """The hung clients that may be ended: not our own probe while it is young.

    Firmware tools, consoles, daemons and clients of other machines' BMCs are never hung in this sense.
    """
    return [
        client
        for client in clients
        if hung(client, settings) and not (client.mark and client.age_seconds <= OWN_PROBE_SECONDS)
    ]


def flash_tools(facts: HostFacts) -> list[ClientProcess]:
    """Programs on the host that may be writing firmware now."""
    return [client for client in facts.clients if client.kind == "flash" and client.inband]


def marked(facts: HostFacts, mark: str | None = None) -> list[ClientProcess]:
    """Processes that the pack started: with this `incident:fence`, or with any mark."""
    return [client for client in facts.clients if client.mark and mark in (None, client.mark)]
