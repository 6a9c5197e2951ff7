"""What was true, written down from outside: faults, resets as BMCs counted them, and what people heard."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

HOUR = 3600.0
COOLDOWN = 3600.0  # the product's default; two resets of one BMC within it are one too many
UNNOTICED = 2 * HOUR  # the rare probe comes once an hour; what nobody heard of after two was missed


@dataclass
class Fault:
    """One BMC that needed help. `ended_by`: `product`, `person`, or empty while it lasts."""

    host: str
    kind: str
    began: float
    told: float | None = None
    ended: float | None = None
    ended_by: str = ""

    def silence(self, now: float) -> float:
        """Seconds until anybody heard of it; as long as it lasted when nobody did."""
        ends = [when for when in (self.told, self.ended) if when is not None]
        return min(ends, default=now) - self.began


@dataclass
class Reset:
    """A cold reset that reached a BMC. `by`: `oob`, `inband`, `late` (out of the driver's queue)."""

    at: float
    bmc: str
    by: str
    execution: str
    wrong: str = ""
    duplicate: bool = False


@dataclass
class Book:
    """Everything that counts. `awaited`: hosts that a person has been told of and not seen to yet."""

    faults: list[Fault] = field(default_factory=list)
    resets: list[Reset] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    harmless: Counter[str] = field(default_factory=Counter)
    false_heals: list[str] = field(default_factory=list)
    open: dict[str, Fault] = field(default_factory=dict)
    awaited: set[str] = field(default_factory=set)
    _last: dict[str, Reset] = field(default_factory=dict)

    def began(self, host: str, kind: str, now: float) -> None:
        """A fault; on a host that has one already it is the same. Who is on the way there will see it."""
        if host not in self.open:
            self.open[host] = Fault(host, kind, now, told=now if host in self.awaited else None)
            self.faults.append(self.open[host])

    def ended(self, host: str, by: str, now: float) -> None:
        """Somebody has cured it."""
        fault = self.open.pop(host, None)
        if fault is not None:
            fault.ended, fault.ended_by = now, by

    def said(self, host: str, now: float) -> None:
        """People heard of the host."""
        fault = self.open.get(host)
        if fault is not None and fault.told is None:
            fault.told = now

    def reset(self, entry: Reset) -> None:
        """One reset; the late one of an own in-band request is known, and no second try."""
        before = self._last.get(entry.bmc)
        if entry.by != "late":
            if before is not None and entry.at - before.at < COOLDOWN:
                entry.duplicate = True
            self._last[entry.bmc] = entry
        self.resets.append(entry)

    def missed(self, now: float) -> list[Fault]:
        """Faults that nobody heard of for too long."""
        return [fault for fault in self.faults if fault.silence(now) > UNNOTICED]

    @property
    def wrong(self) -> list[Reset]:
        """Resets of a BMC that did not need one."""
        return [entry for entry in self.resets if entry.wrong]

    @property
    def duplicates(self) -> list[Reset]:
        """Second resets."""
        return [entry for entry in self.resets if entry.duplicate]

    def longest_silence(self, now: float) -> float:
        """Seconds."""
        return max((fault.silence(now) for fault in self.faults), default=0.0)
