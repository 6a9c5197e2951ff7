"""What is a dark period of a BMC's LAN side: judged from what was asked and answered when. Pure, no I/O.

A dark period is the proof that a reset really happened, so neither packet loss nor a BMC that answers late
may pass for one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from bmc_healer.bmc.rmcp import SEQUENCES

# Dark is: nothing was answered for DARK_SECONDS, and that were so many requests in a row that the loss seen
# before explains it with a probability below CHANCE only; never fewer than MISSED.
DARK_SECONDS = 1.0
MISSED = 14  # at 30 % loss once in 20 million times
CHANCE = 1e-7
LOSS_MEMORY = 0.03  # weight of the newest request in the loss: about the last 30 count
DOUBT_INTERVAL = 0.05  # seconds between requests while an answer is overdue: MISSED fit into DARK_SECONDS
# And in the dark: a reset that the driver still holds comes 12 ms after the BMC is back (KERNELS), and a BMC
# answers for as little as 0.2 s before it goes; who asks less often takes the two dark periods for one.
DARK_INTERVAL = 0.1
DOUBT_SECONDS = 0.1  # an answer that is overdue by this much raises doubt


@dataclass(frozen=True)
class DarkPeriod:
    """From the last answer before to the first answer after, in seconds; `end` None: still dark."""

    start: float
    end: float | None = None


class Darkness:
    """Finds dark periods; the caller says what was asked and answered, in seconds of one monotonic clock.

    Only who is known to have answered can go dark. A period is taken back when an answer comes to a request
    of its first `DARK_SECONDS`: the BMC had received that request, so it was slow or stalled and has not
    restarted.
    """

    def __init__(self) -> None:
        self.last_answer: float | None = None
        self.periods: tuple[DarkPeriod, ...] = ()
        self._asked: dict[int, float] = {}  # rqSeq -> when it was used last
        self._life: float | None = None  # its last sign of life: an answer, or what somebody else has seen
        self._sequence = -1
        self._missed = 0
        self._loss = 0.5  # share of requests without answer; cautious until some answers have come

    @property
    def dark(self) -> bool:
        """A dark period is going on."""
        return bool(self.periods) and self.periods[-1].end is None

    def pause(self, interval: float, now: float) -> float:
        """How long after a request the next one is due: `interval`, less while an answer is overdue."""
        if self._life is None or now - self._life < interval + DOUBT_SECONDS:
            return interval
        return min(interval, DARK_INTERVAL if self.dark else DOUBT_INTERVAL)

    def next_sequence(self) -> int:
        """The rqSeq of the next request.

        In the dark those of before and of the period's first `DARK_SECONDS` are left out while they last: a
        late answer to one of them must be known as such.
        """
        kept = self.periods[-1].start + DARK_SECONDS if self.dark else -math.inf
        for _ in range(SEQUENCES):
            self._sequence = (self._sequence + 1) % SEQUENCES
            if self._asked.get(self._sequence, math.inf) >= kept:
                break
        return self._sequence

    def known_alive(self, now: float) -> None:
        """Somebody else has just seen it answer: it can go dark before this watch has heard of it."""
        self._life = now

    def asked(self, sequence: int, now: float) -> None:
        """A request has left; one that could not leave tells nothing and is not reported here."""
        self._asked[sequence] = now
        self._missed += 1

    def tick(self, now: float) -> None:
        """Judge; to be called when everything that has arrived was reported."""
        if self._life is None or self.dark:
            return
        if self._missed >= self._needed() and now - self._life >= DARK_SECONDS:
            self.periods += (DarkPeriod(self._life),)

    def _needed(self) -> int:
        """How many requests in a row must be unanswered."""
        return max(MISSED, math.ceil(math.log(CHANCE) / math.log(self._loss)))

    def _learn_loss(self) -> None:
        for lost in (*[1.0] * (self._missed - 1), 0.0):
            self._loss += LOSS_MEMORY * (lost - self._loss)

    def answered(self, sequence: int, now: float) -> None:
        """An answer has come.

        One to a request that was answered before, or never made, ends no dark period. It is a sign of life
        all the same: a slow BMC still answers what was asked under this number before.
        """
        when = self._asked.pop(sequence, None)
        if when is None:
            if self._life is not None:
                self._life, self._missed = now, 0
            return
        self.tick(now)
        was_dark = self.dark
        if self.periods:
            last = self.periods[-1]
            if last.start < when < last.start + DARK_SECONDS:
                self.periods = self.periods[:-1]
            elif last.end is None:
                if when <= last.start:
                    return  # a straggler from before: proves nothing about now
                self.periods = (*self.periods[:-1], replace(last, end=now))
        if not was_dark:
            self._learn_loss()
        self.last_answer = self._life = now
        self._missed = 0
