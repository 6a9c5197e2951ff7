"""Which of the host's processes are IPMI clients, which of them hang, and which may be ended. Pure.

Every kernel shows a hung client as waiting in select or poll (S), or in D (KERNELS); a client that runs, or
waits for a pipe or a terminal, does not hang.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..config.settings import WatchSettings
from .facts import ClientProcess, HostFacts
from .programs import flashes_by_its_words

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

    Firmware tools, consoles, daemons and clients of other machines' BMCs are never hung in this sense. A
    client whose command line could not be read may be any of these: it hangs, and is left alone.
    """
    return [
        client
        for client in clients
        if client.known
        and hung(client, settings)
        and not (client.mark and client.age_seconds <= OWN_PROBE_SECONDS)
    ]


def unread(clients: Iterable[ClientProcess], settings: WatchSettings) -> list[ClientProcess]:
    """The hung clients that are left alone only since their command line could not be read."""
    return [client for client in clients if hung(client, settings) and not client.known]


def may_flash(facts: HostFacts) -> str:
    """Which program may be writing firmware now, as a phrase; empty when none may.

    One whose command line could not be read may: a rule that cannot be checked counts as broken (SAFETY). It
    does not stop the heal of a host where hundreds of clients hang in D inside the driver: their stacks show
    that nothing holds their memory, so their command lines are read, all of them. What is left is in a page
    fault or an exec, or on a host that lets us see no stack.
    """
    for client in facts.clients:
        if client.kind == "flash":
            return f"{client.program} is running on the host"
    for client in facts.clients:
        if not client.known and flashes_by_its_words(client.program):
            return (
                f"{client.program} (pid {client.pid}) is in D on the host, and its command line, which would "
                "tell, cannot be read"
            )
    return ""


def left_by(facts: HostFacts, incident: str) -> str:
    """What a heal has left running on the host, or may have, as a phrase; empty when nothing is left.

    A write to a module parameter, a rmmod or a modprobe whose mark could not be read just now may be its own.
    """
    for client in facts.clients:
        if client.mark and client.mark.startswith(f"{incident}:"):
            return f"its {client.program} (pid {client.pid}, state {client.state}) is still on the host"
    for client in facts.clients:
        if client.kind == "module" and not client.known:
            return (
                f"whether {client.program} (pid {client.pid}, state {client.state}) is its own cannot be read"
            )
    return ""


def marked(facts: HostFacts, mark: str | None = None) -> list[ClientProcess]:
    """Processes that the pack started: with this `incident:fence`, or with any mark."""
    return [client for client in facts.clients if client.mark and mark in (None, client.mark)]
