"""What the LAN side of a BMC says about a stuck in-band side: pure functions (SAFETY 2, KERNELS "Signals").

A BMC that reboots and one that hangs look the same in-band. The LAN side and time tell them apart: dark
there as well is rebooting or dead, alive is hung, and alive only since a few minutes is still booting, since
the LAN often returns minutes before KCS.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from bmc_healer.state.keys import fleet_part

Verdict = Literal["alive", "booting", "dark", "unknown"]


@dataclass(frozen=True, slots=True)
class LanSeen:
    """What the pings of one BMC found; epoch seconds, None for never."""

    alive_at: float | None = None
    dark_at: float | None = None
    dark_since: float | None = None  # start of the present or the latest silence

    @property
    def dark_now(self) -> bool:
        """The latest ping got no answer."""
        return self.dark_at is not None and (self.alive_at is None or self.dark_at > self.alive_at)


def seen(before: LanSeen, alive: bool, now: float) -> LanSeen:
    """`before` and one more ping. What is kept over a restart is a silence's start: an answer ends it now."""
    if alive:
        return LanSeen(now, now if before.dark_now else before.dark_at, before.dark_since)
    return LanSeen(before.alive_at, now, before.dark_since if before.dark_now else now)


def verdict(lan: LanSeen, booting_seconds: float, fresh_seconds: float, now: float) -> Verdict:
    """`booting` means wait: dark for less than `booting_seconds`, or alive again for less than that.

    An answer older than `fresh_seconds` is none: the BMC may have gone dark since. `unknown`: there is no BMC
    address, or nobody has asked it yet.
    """
    if lan.alive_at is None and lan.dark_at is None:
        return "unknown"
    if lan.dark_now:
        return "dark" if now - (lan.dark_since or now) >= booting_seconds else "booting"
    if lan.dark_at is not None and now - lan.dark_at < booting_seconds:
        return "booting"
    return "alive" if now - (lan.alive_at or 0.0) <= fresh_seconds else "booting"


def transition(before: LanSeen, after: LanSeen) -> bool:
    """Whether a ping is worth remembering: the first answer, the start or the end of a silence."""
    return (before.alive_at is None and after.alive_at is not None) or before.dark_now != after.dark_now


def name_of(part: str) -> str:
    """The document of a part of the fleet."""
    return f"lan:{part}"


def of_host(state: Mapping[str, dict[str, Any]], host: str) -> LanSeen | None:
    """What the documents of an earlier watch say of a host's BMC; None: it never answered."""
    times = state.get(name_of(fleet_part(host)), {}).get(host)
    return LanSeen(*times) if isinstance(times, list) and len(times) == 3 else None


def documents(parts: Collection[str], seen: Iterable[tuple[str, LanSeen]]) -> dict[str, dict[str, Any]]:
    """By name: the hosts of these parts with the three times of `LanSeen`.

    :param seen: all that are known, of whatever part
    """
    found: dict[str, dict[str, Any]] = {name_of(part): {} for part in sorted(parts)}
    for host, lan in seen:
        if (part := fleet_part(host)) in parts:
            times = (lan.alive_at, lan.dark_at, lan.dark_since)
            found[name_of(part)][host] = [time and round(time, 1) for time in times]
    return found
