"""Messages to chat (SAFETY 10): written before the first attempt, deleted when everybody has heard them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

from bmc_healer.state import keys
from bmc_healer.state.documents import decode
from bmc_healer.state.store import Store

KEEP_SECONDS = 7 * 86400.0
FIRST_WAIT = 30.0
LONGEST_WAIT = 600.0
# What got no answer may have been heard: a slow chat must not hear it every ten minutes for ever.
LONGEST_WAIT_UNANSWERED = 86400.0


@dataclass(frozen=True)
class Message:
    """What chat is to hear.

    :param targets: fingerprints of the chat targets that still have to hear it; empty: all
    :param next_try: epoch seconds
    :param error: why the latest attempt failed; holds no token
    """

    id: str
    title: str
    body: str
    created_at: float
    targets: tuple[str, ...] = ()
    attempts: int = 0
    next_try: float = 0.0
    error: str = ""


def wait_after(attempts: int, longest: float = LONGEST_WAIT) -> float:
    """Seconds until the next attempt: 30, 60, 120, ... at most `longest`."""
    return float(min(longest, FIRST_WAIT * 2 ** min(attempts - 1, 12)))


class Outbox:
    """The messages in the datastore; every method raises StateError when it cannot be trusted."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def put(self, message: Message) -> None:
        """Create or replace."""
        self._store.write(keys.key(keys.OUTBOX, message.id), asdict(message), ttl=KEEP_SECONDS)

    def pending(self) -> tuple[Message, ...]:
        """All that wait, oldest first."""
        found = (decode(Message, key, d) for key, d in self._store.read(keys.OUTBOX).items())
        return tuple(sorted(found, key=lambda m: (m.created_at, m.id)))

    def delivered(self, message_id: str) -> None:
        """Everybody has heard it."""
        self._store.delete(keys.key(keys.OUTBOX, message_id))


def failed(
    message: Message, now: float, targets: tuple[str, ...], error: str, *, unanswered: bool = False
) -> Message:
    """`message` after an attempt that left `targets` untold; `unanswered`: all of them may have heard it."""
    attempts = message.attempts + 1
    next_try = now + wait_after(attempts, LONGEST_WAIT_UNANSWERED if unanswered else LONGEST_WAIT)
    return replace(message, attempts=attempts, next_try=next_try, targets=targets, error=error)
