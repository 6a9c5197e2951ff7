"""Rung 2: the in-band cold reset. What ipmitool says about it proves nothing (RUNBOOK 2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..config.settings import LadderSettings
from ..host.access import HostAccess
from ..host.facts import HostFacts
from ..host.observe import snapshot
from ..host.procfs import Snapshot
from .outcome import RungOutcome
from .tools import died_how, last_words

_CLAIM = "Sent cold reset command to MC"


def cold_reset(
    access: HostAccess,
    facts: HostFacts,
    *,
    settings: LadderSettings,
    may_send: Callable[[], None],
    mark: str,
) -> RungOutcome:
    """`ipmitool mc reset cold` on the host, the only command that changes anything ever sent in-band.

    :returns: evidence `claimed` (ipmitool says that it was sent), `accepted` (False: ipmitool failed, as it
        does when the BMC refuses with a completion code), `status`, `seconds`, and, where the driver counts,
        `completed_delta`: transactions completed meanwhile; 0 means that nothing was delivered
    :raises HostAccessError: the host was lost; the reset may have been sent
    """
    if not facts.ipmitool:
        return RungOutcome("inband", "skipped", "Nothing was sent: ipmitool is not installed on the host.")
    if not any(device.owned for device in facts.devices):
        # ipmitool would claim success all the same
        return RungOutcome("inband", "skipped", "Nothing was sent: no driver owns a /dev/ipmi device.")

    before = snapshot(access)
    may_send()
    answer = access.run(["ipmitool", "mc", "reset", "cold"], limit=settings.inband_limit, mark=mark)
    evidence: dict[str, Any] = {
        "claimed": answer.ok and _CLAIM in answer.out,
        "accepted": answer.status in (0, None),
        "status": answer.status,
        "seconds": round(answer.seconds, 1),
    }
    if said := last_words(answer):
        evidence["said"] = said
    delta = _completed(before, snapshot(access))
    if delta is not None:
        evidence["completed_delta"] = delta

    if answer.unkillable:
        return RungOutcome("inband", "stuck", f"ipmitool mc reset cold {died_how(answer)}.", evidence)
    if not evidence["claimed"]:
        return RungOutcome("inband", "failed", f"ipmitool mc reset cold {died_how(answer)}.", evidence)
    if delta == 0:
        sentence = (
            f"ipmitool claims after {answer.seconds:.0f} s that the reset was sent, "
            "but the driver completed no transaction: it was not delivered."
        )
    else:
        sentence = f"ipmitool claims after {answer.seconds:.0f} s that the reset was sent."
    return RungOutcome("inband", "done", sentence, evidence)


def _completed(before: Snapshot, after: Snapshot) -> int | None:
    """Transactions completed on all interfaces; None where the driver does not say or was loaded anew."""
    try:
        pairs = [
            (int(before.interfaces[name]["complete_transactions"]), int(counters["complete_transactions"]))
            for name, counters in after.interfaces.items()
        ]
    except (KeyError, ValueError):
        return None
    delta = sum(new - old for old, new in pairs)
    return delta if pairs and delta >= 0 else None
