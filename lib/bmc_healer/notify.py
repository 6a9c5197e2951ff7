"""Telling chat, through Apprise: never in the way of healing, never mute, no token in a text (SAFETY 10, 11).

A message is written to the outbox before the first attempt and deleted once every target has heard it;
whoever ends a heal or tidies calls `flush`, and bmc_sensor asks for it when nobody does. An endpoint that
hangs costs `limit` seconds, not a heal.
"""

from __future__ import annotations

import hashlib
import logging
import re
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from urllib.parse import quote, unquote

from bmc_healer.errors import StateError
from bmc_healer.state.heal_state import HealState
from bmc_healer.state.outbox import Message, failed, wait_after

LIMIT_SECONDS = 15.0  # for one message to all targets; Apprise gives each connect 4 s
# Apprise gives each read 4 s. A chat that took the message and answers later would hear it again and again.
READ_SECONDS = 10.0
FLUSH_SECONDS = 60.0

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Delivery:
    """What became of one message at one target. `target` names it without its token: `dingtalk#3fa2c1b7`.

    `unanswered`: it was sent and no answer came in time, so it may have been heard
    """

    target: str
    ok: bool
    error: str = ""
    unanswered: bool = False


def deliver(urls: Sequence[str], title: str, body: str, *, limit: float = LIMIT_SECONDS) -> list[Delivery]:
    """Tell every target at once, and wait at most `limit` seconds for all of them together."""
    attempts = [_Attempt(url, title, body) for url in urls]
    if attempts:
        import apprise

        # The seconds of its import, and of its plug-ins' with the first URL, are not the endpoint's.
        apprise.Apprise.instantiate("json://localhost")
    end = time.monotonic() + limit
    for attempt in attempts:
        attempt.start()
    for attempt in attempts:
        attempt.join(max(0.0, end - time.monotonic()))
    return [attempt.delivery(limit) for attempt in attempts]


def tell(
    state: HealState,
    urls: Sequence[str],
    title: str,
    body: str,
    *,
    clock: Callable[[], float] = time.time,
    limit: float = LIMIT_SECONDS,
) -> list[Delivery]:
    """Try now; what does not get through waits in the outbox. A datastore that is down is only logged."""
    if not urls:
        return []
    message = Message(secrets.token_hex(8), title, body, created_at=clock())
    return _attempt(state, message, urls, clock, limit)


def keep(
    state: HealState, title: str, body: str, why: str, *, clock: Callable[[], float] = time.time
) -> None:
    """Put a message that cannot even be tried (no URL could be read) into the outbox."""
    message = Message(secrets.token_hex(8), title, body, created_at=clock())
    _quietly(lambda: state.outbox.put(failed(message, clock(), (), why)))


def flush(
    state: HealState,
    urls: Sequence[str],
    *,
    clock: Callable[[], float] = time.time,
    limit: float = LIMIT_SECONDS,
    total: float = FLUSH_SECONDS,
) -> list[Delivery]:
    """Try again what is due, oldest first, for about `total` seconds; end early when nobody can be reached.

    :raises StateError: the outbox cannot be read
    """
    end = clock() + total
    done: list[Delivery] = []
    for message in state.outbox.pending() if urls else ():
        if message.next_try > clock():
            continue
        if clock() > end:
            break
        deliveries = _attempt(state, message, urls, clock, limit)
        done += deliveries
        if not any(delivery.ok for delivery in deliveries):
            break
    return done


def target_of(url: str) -> str:
    """A name for the target that does not give its token away, and stays the same as long as the URL does."""
    scheme = url.partition("://")[0] if "://" in url else "?"
    return f"{scheme}#{hashlib.sha256(url.encode()).hexdigest()[:8]}"


def scrub(text: str, urls: Sequence[str]) -> str:
    """`text` without any URL or part of `urls`; tokens stand in the place of host, user or path."""
    text = re.sub(r"\w+://\S+", "***", text)
    pieces = {piece for url in urls for piece in re.split(r"[/:@?&=#,]+", url.partition("://")[2])}
    forms = pieces | {unquote(piece) for piece in pieces} | {quote(piece, safe="") for piece in pieces}
    for piece in sorted((form for form in forms if len(form) >= 4), key=len, reverse=True):
        text = text.replace(piece, "***")
    return text


def _attempt(
    state: HealState, message: Message, urls: Sequence[str], clock: Callable[[], float], limit: float
) -> list[Delivery]:
    """One attempt at all targets that still have to hear `message`.

    `next_try` is moved ahead first: a second flush meanwhile leaves it alone, and a crash loses nothing.
    """
    due = [url for url in urls if target_of(url) in message.targets] or list(urls)
    lease = replace(message, next_try=clock() + limit + wait_after(message.attempts + 1))
    stored = _quietly(lambda: state.outbox.put(lease))
    deliveries = deliver(due, message.title, message.body, limit=limit)
    untold = [delivery for delivery in deliveries if not delivery.ok]
    if untold:
        reasons = "; ".join(f"{d.target}: {d.error}" for d in untold)
        log.warning("chat was not told %r, it waits in the outbox: %s", message.title, reasons)
        targets = tuple(delivery.target for delivery in untold)
        unanswered = all(delivery.unanswered for delivery in untold)
        waiting = failed(message, clock(), targets, reasons, unanswered=unanswered)
        _quietly(lambda: state.outbox.put(waiting))
    elif stored:
        _quietly(lambda: state.outbox.delivered(message.id))
    return deliveries


def _quietly(write: Callable[[], None]) -> bool:
    """The outbox serves healing, not the other way round."""
    try:
        write()
    except StateError as error:
        log.warning("the outbox could not be kept: %s", error)
        return False
    return True


class _Attempt(threading.Thread):
    """One target. A daemon thread: a hanging endpoint keeps neither the caller nor the process."""

    def __init__(self, url: str, title: str, body: str) -> None:
        super().__init__(name=f"notify {target_of(url)}", daemon=True)
        self._url = url
        self._title = title
        self._body = body
        self._told = False
        self._late = False
        self._error = "Apprise gave no reason"

    def run(self) -> None:
        """Call the plug-in itself: the threads of the pool in `Apprise.notify` would hold up our exit."""
        import apprise

        logger = logging.getLogger("apprise")
        logger.propagate = False  # its lines hold URLs with tokens, and so do those of the HTTP client:
        logging.getLogger("urllib3").setLevel(logging.INFO)
        reasons = _ThreadLog()  # Apprise says why in its log alone
        logger.addHandler(reasons)
        try:
            target = apprise.Apprise.instantiate(self._url)
            if target is None:
                self._error = "Apprise does not know this kind of URL, or a part of it is missing"
                return
            if target.socket_read_timeout == type(target).socket_read_timeout:  # else its URL says another
                target.socket_read_timeout = READ_SECONDS
            begun = time.monotonic()
            self._told = bool(target.notify(title=self._title, body=self._body))
            self._late = time.monotonic() - begun >= target.socket_read_timeout
            self._error = "; ".join(reasons.lines) or self._error
        except Exception as error:  # noqa: BLE001 - whatever one of a hundred plug-ins raises
            self._error = f"{type(error).__name__}: {error}"
        finally:
            logger.removeHandler(reasons)

    def delivery(self, limit: float) -> Delivery:
        """What is known now."""
        if self._told:
            return Delivery(target_of(self._url), True)
        late = f"no answer within {limit:.0f} s; the message may still arrive"
        alive = self.is_alive()
        error = late if alive else scrub(self._error, [self._url])
        return Delivery(target_of(self._url), False, error, unanswered=alive or self._late)


class _ThreadLog(logging.Handler):
    """The warnings of the thread that made it."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        if record.thread == self._thread:
            self.lines.append(record.getMessage())
