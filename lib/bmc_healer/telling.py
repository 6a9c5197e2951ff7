"""Tell chat: read the URLs when they are needed, send, and keep in the outbox what did not get out."""

from __future__ import annotations

from typing import Any

from bmc_healer import messages, notify
from bmc_healer.config.secrets import read_notify_urls
from bmc_healer.errors import HealerError, StateError
from bmc_healer.verbs.runtime import Runtime


def tell(rt: Runtime, title: str, body: str) -> dict[str, Any]:
    """Send one message to every chat; never raises, since healing goes on without chat.

    :returns: {"delivered", "waiting", "sentence"}: waiting messages are in the outbox and tried again
    """
    if not rt.config.notify:
        return {"delivered": 0, "waiting": 0, "sentence": "No chat is configured (notify)."}
    try:
        read = read_notify_urls(rt.config, rt.datastore)
    except HealerError as error:
        rt.logger.warning("chat was not told: %s", error.sentence)
        notify.keep(rt.state, title, body, error.sentence, clock=rt.clock)
        return {"delivered": 0, "waiting": 1, "sentence": error.sentence}
    deliveries = notify.tell(rt.state, read.urls, title, body, clock=rt.clock)
    failed = [f"{delivery.target}: {delivery.error}" for delivery in deliveries if not delivery.ok]
    problems = [*read.problems, *failed]
    told = len(deliveries) - len(failed)
    return {
        "delivered": told,
        "waiting": len(failed),
        "sentence": f"Chat was told ({told} of {len(rt.config.notify)})." if told else "Chat was not told.",
        **({"problems": problems} if problems else {}),
    }


def tell_end(rt: Runtime, incident: dict[str, Any]) -> dict[str, Any]:
    """Tell how a heal ended, once: the incident notes it, so that tidy knows what chat has not heard."""
    if incident.get("told"):
        return {"delivered": 0, "waiting": 0, "sentence": "Chat was told before."}
    told = tell(rt, *messages.ended(incident))
    incident["told"] = True
    try:
        rt.state.save_incident(incident)
    except StateError as error:
        rt.logger.warning("%s", error.sentence)
    return told


def flush(rt: Runtime) -> None:
    """Try again what waits in the outbox."""
    if not rt.config.notify:
        return
    try:
        notify.flush(rt.state, read_notify_urls(rt.config, rt.datastore).urls, clock=rt.clock)
    except HealerError as error:
        rt.logger.warning("the outbox was not tried: %s", error.sentence)
