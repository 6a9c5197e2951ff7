"""Messages that chat has not heard, and that nobody tries (SAFETY 10). Pure.

Who ends a heal flushes the outbox; when no other heal follows, nobody but a sensor looks at it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from bmc_healer.state.outbox import Message

from .payload import utc

GRACE_SECONDS = 15.0  # a heal that ends just now may be at it


@dataclass(frozen=True)
class Untold:
    """`count` messages are due; the oldest was written at `since` (epoch seconds)."""

    count: int
    since: float
    key: str = "outbox"

    def payload(self, now: float) -> dict[str, Any]:
        """What `chat.waiting` carries."""
        return {
            "observed_at": utc(now),
            "key": self.key,
            "waiting": self.count,
            "oldest": utc(self.since),
        }


def untold(messages: Iterable[Message], now: float) -> list[Untold]:
    """One item when messages are due, none otherwise."""
    due = [message.created_at for message in messages if now - message.next_try >= GRACE_SECONDS]
    return [Untold(len(due), min(due))] if due else []
