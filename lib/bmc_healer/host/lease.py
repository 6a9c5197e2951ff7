"""The lease on the host itself: it holds off whoever else watches the same machine (SAFETY 4).

It lives in /run/bmc_healer/BOOT_ID, so a reboot ends it. Ours (same owner) is renewed; a foreign one is never
broken, only named. Nobody waits for it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..errors import HostAccessError
from .access import HostAccess
from .scripts import script

_LIMIT = 15.0
_LINE = re.compile(r"[ -~]{0,200}")


@dataclass(frozen=True)
class Lease:
    """What stands on the host. `since` is epoch seconds by the host's clock, `deed` the last thing done."""

    owner: str
    incident: str
    fence: int
    since: float
    deed: str


@dataclass(frozen=True)
class ForeignLease:
    """Somebody else's lease, or our own of a newer heal. `sentence` says how a person removes it."""

    owner: str
    incident: str
    since: float
    deed: str
    sentence: str


def take(
    access: HostAccess, *, owner: str, incident: str, boot_id: str, fence: int = 0
) -> Lease | ForeignLease:
    """Take the lease, or renew our own for this heal.

    :param owner: who we are, the same in all our heals: the installation's id
    :param boot_id: the boot that was looked at
    :raises HostAccessError: no lease can be written there, or the host has rebooted
    """
    return _ask(access, "take", boot_id, owner, incident, fence)


def record_deed(
    access: HostAccess, *, owner: str, incident: str, boot_id: str, deed: str
) -> Lease | ForeignLease:
    """Write the last deed into our lease, for whoever finds it.

    :raises HostAccessError: as `take`
    """
    return _ask(access, "deed", boot_id, owner, incident, 0, deed)


def give_back(access: HostAccess, *, owner: str, incident: str) -> None:
    """Remove our lease of this heal; another's, and none, are left alone.

    :raises HostAccessError: the host could not be asked
    """
    _run(access, "give_back", "", owner, incident, 0)


def look(access: HostAccess, *, owner: str) -> ForeignLease | None:
    """Somebody else's lease; None when the host is free or ours. Changes nothing.

    :raises HostAccessError: the host could not be asked
    """
    word, lease = _run(access, "look", "", owner, "", 0)
    return _foreign(access, lease, "") if word == "held" else None


def _ask(
    access: HostAccess, verb: str, boot_id: str, owner: str, incident: str, fence: int, deed: str = ""
) -> Lease | ForeignLease:
    word, lease = _run(access, verb, boot_id, owner, incident, fence, deed)
    if word == "taken" and lease is not None:
        return lease
    if word == "gone":
        sentence = (
            f"{access.name}: the lease of this heal is gone: the host rebooted, or somebody removed it."
        )
        return ForeignLease("", "", 0.0, "", sentence)
    if word == "held":
        return _foreign(access, lease, boot_id)
    if word == "rebooted":
        raise HostAccessError("it has rebooted since it was looked at", access.name, "diagnose again")
    raise HostAccessError(
        "no lease could be written below /run/bmc_healer", access.name, "look at the file system of /run"
    )


def _run(
    access: HostAccess, verb: str, boot_id: str, owner: str, incident: str, fence: int, deed: str = ""
) -> tuple[str, Lease | None]:
    for text in (owner, incident, deed):
        if not _LINE.fullmatch(text):
            raise ValueError("a lease holds short printable lines")
    argv = ["sh", "-c", script("lease"), "bmc_healer", verb, boot_id, owner, incident, str(fence), deed]
    return read(access.run(argv, limit=_LIMIT).out)


def read(text: str) -> tuple[str, Lease | None]:
    """What lease.sh said: a word, and the lease when there is one. Pure and total."""
    lines = text.split("\n")
    if len(lines) < 6 or not lines[1]:
        return lines[0], None
    numbers = [
        int(line) if line.isascii() and line.isdigit() and len(line) < 16 else 0 for line in lines[3:5]
    ]
    return lines[0], Lease(lines[1][:200], lines[2][:200], numbers[0], float(numbers[1]), lines[5][:200])


def _foreign(access: HostAccess, lease: Lease | None, boot_id: str) -> ForeignLease:
    found = lease or Lease("", "", 0, 0.0, "")
    return ForeignLease(
        found.owner, found.incident, found.since, found.deed, _sentence(access, found, boot_id or "*")
    )


def _sentence(access: HostAccess, found: Lease, boot_id: str) -> str:
    if not found.owner:
        who = "a lease without an owner stands on the host"
    else:
        who = f"{found.owner} holds the host for {found.incident}"
        who += f", last deed: {found.deed}" if found.deed else ""
    return (
        f"{access.name}: {who}. When that healer is surely gone, remove /run/bmc_healer/{boot_id} "
        "(/var/run where there is no /run) on the host."
    )
