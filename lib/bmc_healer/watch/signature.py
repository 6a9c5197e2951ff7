"""Which signature of the fault the samples of a host show: a pure function, RUNBOOK 1 and KERNELS "Signals".

Three rules, on every kernel, without sending anything:

1. kipmi at or above the high mark, sustained: a spinning kipmi, a reason to look even if the BMC answers.
2. kipmi at or above the low mark while the counters are stuck, requests are given up or clients hang.
3. The same without load by kipmi: interrupt-driven, throttled, or a loaded host (kipmid has nice 19).

A slow BMC completes 3 to 4 transactions in 10 s where a hung one completes none: a completed transaction
refutes every rule but the first. One case looks like a slow BMC in all of this: a soft hang, where the
interface itself completes every request with 0xC3. Only a probe tells the two apart (`given_up`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Literal

from bmc_healer.config.settings import WatchSettings
from bmc_healer.host.clients import hung as hangs
from bmc_healer.host.facts import KipmiThread

from .snapshot import Sample

Signature = Literal["high_mark", "stuck_counters", "hosed_count", "hung_clients", "given_up"]

# Of the driver's counters, for each completed request: honest polling shows 8, 3 s an answer 300, a soft hang
# (0xC3 after 4 s) 490 (guest, 6.1); so this is about a second
LABOURED_TIMEOUTS = 100


@dataclass(frozen=True)
class Window:
    """What changed between two samples of one boot. Without an interface the counters are None."""

    seconds: float
    kipmi: tuple[KipmiThread, ...]
    iowait_percent: float
    completed: int | None
    timeouts: int
    hosed: int

    @property
    def kipmi_percent(self) -> float:
        """CPU of the busiest kipmi thread, percent of one core."""
        return max((thread.cpu_percent for thread in self.kipmi), default=0.0)

    @property
    def brisk(self) -> bool:
        """Requests complete as those of a healthy BMC do, not seconds each."""
        return bool(self.completed) and self.timeouts < LABOURED_TIMEOUTS * (self.completed or 0)

    @property
    def stuck(self) -> bool:
        """No transaction completed while timeouts rose."""
        return self.completed == 0 and self.timeouts > 0


@dataclass(frozen=True)
class Look:
    """What the last samples say. Seconds are the host's uptime.

    :param signature: the rule's evidence that matched, or None
    :param loaded: kipmi is at or above the low mark: `kipmi.high_cpu`, otherwise `bmc.unresponsive`
    :param sustained_seconds: how long the signature has held
    :param suspicious: look closer (every counter window) and ask the LAN side
    :param answering: a transaction completed in the last window: in-band IPMI answers
    """

    window: Window
    load1: float
    clients: int
    uninterruptible: int
    hung: int
    oldest_seconds: float
    signature: Signature | None
    loaded: bool
    sustained_seconds: float
    suspicious: bool
    answering: bool


def window(before: Sample, after: Sample) -> Window:
    """The differences of two samples of the same boot; an interface that was reloaded counts from 0."""
    seconds = max(after.at - before.at, 0.001)
    earlier = {(thread.pid, thread.start): thread.ticks for thread in before.kipmi}
    kipmi = tuple(
        KipmiThread(
            thread.pid,
            thread.name,
            round(
                100
                * (thread.ticks - earlier.get((thread.pid, thread.start), thread.ticks))
                / after.hz
                / seconds,
                1,
            ),
        )
        for thread in after.kipmi
    )
    total, iowait = (new - old for new, old in zip(after.cpu_ticks, before.cpu_ticks, strict=True))
    completed = timeouts = hosed = 0
    for name, new in after.counters.items():
        old = before.counters.get(name)
        if old is None or new.completed < old.completed or new.timeouts < old.timeouts:
            completed, timeouts, hosed = completed + new.completed, timeouts + new.timeouts, hosed + new.hosed
        else:
            completed += new.completed - old.completed
            timeouts += new.timeouts - old.timeouts
            hosed += max(new.hosed - old.hosed, 0)
    return Window(
        seconds=seconds,
        kipmi=kipmi,
        iowait_percent=round(100 * iowait / total, 1) if total > 0 else 0.0,
        completed=completed if after.counters else None,
        timeouts=timeouts,
        hosed=hosed,
    )


def judge(samples: Sequence[Sample], settings: WatchSettings) -> Look | None:
    """The look of the newest sample in the light of those before it; None with fewer than two of one boot.

    :param samples: oldest first, of one host; those of an earlier boot are ignored
    """
    boot = [sample for sample in samples if sample.boot_id == samples[-1].boot_id]
    if len(boot) < 2:
        return None
    last = boot[-1]
    newest_first = [window(old, new) for old, new in zip(boot[-2::-1], boot[:0:-1], strict=False)]
    now = newest_first[0]
    enough = settings.stuck_windows * settings.counter_window_seconds
    high = _span(newest_first, lambda w: w.kipmi_percent >= settings.kipmi_cpu_high)
    stuck = _span(newest_first, lambda w: w.stuck)
    silent = _span(newest_first, lambda w: not w.completed)
    inband = [client for client in last.clients if client.kind == "client" and client.inband]
    # A client of a slow BMC is old as well, but something completes while it waits.
    hung = [client for client in inband if hangs(client, settings)] if silent >= enough else []

    signature: Signature | None = None
    sustained = 0.0
    if stuck >= enough:
        signature, sustained = "stuck_counters", stuck
    elif now.stuck and any(w.hosed for w in takewhile(lambda w: w.completed == 0, newest_first)):
        signature, sustained = "hosed_count", stuck
    elif hung:
        signature = "hung_clients"
        sustained = max(client.age_seconds for client in hung) - settings.hung_client_seconds
    elif high >= settings.sustained_seconds:
        signature, sustained = "high_mark", high
    return Look(
        window=now,
        load1=last.load1,
        # beyond the first 64 the kinds are not known: a pile of that size is one kind
        clients=len(inband) + max(last.client_count - len(last.clients), 0),
        uninterruptible=sum(client.state == "D" for client in inband),
        hung=len(hung),
        oldest_seconds=round(max((client.age_seconds for client in inband), default=0.0), 1),
        signature=signature,
        loaded=now.kipmi_percent >= settings.kipmi_cpu_low,
        sustained_seconds=round(sustained, 1),
        suspicious=bool(signature or now.stuck or hung or now.kipmi_percent >= settings.kipmi_cpu_high),
        answering=bool(now.completed),
    )


def _span(newest_first: Sequence[Window], holds: Callable[[Window], bool]) -> float:
    """Seconds for which something has held without a break until now."""
    return sum(item.seconds for item in takewhile(holds, newest_first))
