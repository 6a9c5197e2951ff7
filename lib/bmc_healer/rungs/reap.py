"""Rung 1: end the hung IPMI clients, so that they hold no device and ask nothing more.

TERM, then KILL. A client in D cannot end; it is signalled, reported, and never waited for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..config.settings import WatchSettings
from ..errors import HostAccessError
from ..host.access import HostAccess
from ..host.clients import hung, reapable, unread
from ..host.facts import ClientProcess, HostFacts
from ..host.scripts import script
from .outcome import RungOutcome

_LIMIT = 40.0  # end.sh waits five seconds after each of its two signals; 655 clients take their time
_NAMED = 20  # processes named in the evidence; the counts tell the rest


def reap(
    access: HostAccess,
    facts: HostFacts,
    *,
    watch: WatchSettings,
    may_send: Callable[[], None],
    mark: str,
) -> RungOutcome:
    """End the clients that `host.clients.reapable` names.

    Firmware tools, consoles, daemons, clients of other machines' BMCs and our own young probe are spared, and
    who may be one of these: evidence `unread` counts the hung clients whose command line could not be read.

    :raises HostAccessError: the host was lost; the signals may have been sent
    """
    doomed = reapable(facts.clients, watch)
    spared = [client for client in facts.clients if client not in doomed]
    evidence: dict[str, Any] = {
        "ended": 0,
        "clients": [_named(client) for client in doomed[:_NAMED]],
        "spared": [_named(client) for client in spared[:_NAMED]],
        "unread": len(unread(facts.clients, watch)),
    }
    left_alone = ""
    if evidence["unread"]:
        left_alone = f" Left alone, since their command line could not be read: {evidence['unread']}."
    if not doomed:
        own = any(client.mark and hung(client, watch) for client in spared)
        why = "only our own probe waits" if own else "no IPMI client has hung longer than the limit"
        nothing = "Nothing was ended." if left_alone else f"Nothing was ended: {why}."
        return RungOutcome("reap", "skipped", f"{nothing}{left_alone}", evidence)

    lines = "".join(f"{client.pid} {client.start_ticks}\n" for client in doomed)
    may_send()
    answer = access.run(["sh", "-c", script("end"), "bmc_healer"], limit=_LIMIT, stdin=lines, mark=mark)
    said = answer.out.split("\n")
    if "end" not in said:
        raise HostAccessError(
            "whether the hung IPMI clients ended is not known", access.name, "diagnose again"
        )
    left = {int(words[1]): words[2] for words in map(str.split, said) if _is_left(words)}
    evidence["ended"] = len(doomed) - len(left)
    evidence["left"] = [
        _named(client) | {"state": left[client.pid]} for client in doomed if client.pid in left
    ]
    ended = f"{evidence['ended']} of {len(doomed)} hung IPMI clients ended"
    if not left:
        return RungOutcome("reap", "done", f"{ended}.{left_alone}", evidence)
    names = ", ".join(f"{client['program']} (pid {client['pid']})" for client in evidence["left"][:3])
    if set(left.values()) == {"D"}:
        return RungOutcome(
            "reap",
            "done",
            f"{ended}; {len(left)} hang in the kernel and end when the BMC is back: {names}.{left_alone}",
            evidence,
        )
    return RungOutcome(
        "reap", "failed", f"{ended}; {len(left)} survived KILL: {names}.{left_alone}", evidence
    )


def _is_left(words: list[str]) -> bool:
    return len(words) == 3 and words[0] == "left" and words[1].isdecimal() and len(words[1]) < 10


def _named(client: ClientProcess) -> dict[str, Any]:
    return {
        "pid": client.pid,
        "program": client.program,
        "subcommand": client.subcommand,
        "age_seconds": round(client.age_seconds),
        "state": client.state,
        "kind": client.kind,
    }
