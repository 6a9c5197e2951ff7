"""What the LAN side of a BMC says about a stuck in-band side: pure functions (SAFETY 2, KERNELS "Signals").

A BMC that reboots and one that hangs look the same in-band. The LAN side and time tell them apart: dark
there as well is rebooting or dead, alive is hung, and alive only since a few minutes is still booting, since
the LAN often returns minutes before KCS.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

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
    """`before` and one more ping."""
    if alive:
        return LanSeen(now, before.dark_at, before.dark_since)
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


def memory(lan: LanSeen) -> dict[str, float]:
    """The members of HostMemory that the pings teach."""
    told = {"lan_alive_at": lan.alive_at, "lan_dark_at": lan.dark_at, "lan_dark_since": lan.dark_since}
    return {name: value for name, value in told.items() if value is not None}
