"""Tell chat: read the URLs when they are needed, send, and keep in the outbox what did not get out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bmc_healer import messages, notify
from bmc_healer.config.secrets import read_notify_urls
from bmc_healer.errors import HealerError, StateError
from bmc_healer.verbs.runtime import Runtime

NO_CHAT = "No chat is configured (notify)."


def tell(rt: Runtime, title: str, body: str) -> dict[str, Any]:
    """Send one message to every chat; never raises, since healing goes on without chat.

    :returns: {"delivered", "waiting", "sentence"}: waiting messages are in the outbox and tried again
    """
    if not rt.config.notify:
        return {"delivered": 0, "waiting": 0, "sentence": NO_CHAT}
    read = read_notify_urls(rt.config, rt.datastore)
    if not read.urls:
        why = " ".join(read.problems)
        rt.logger.warning("chat was not told: %s", why)
        notify.keep(rt.state, title, body, why, clock=rt.clock)
        return {"delivered": 0, "waiting": 1, "sentence": f"Chat was not told: {why}"}
    deliveries = notify.tell(rt.state, read.urls, title, body, clock=rt.clock)
    failed = [f"{delivery.target}: {delivery.error}" for delivery in deliveries if not delivery.ok]
    problems = [*read.problems, *failed]
    told = len(deliveries) - len(failed)
    return {
        "delivered": told,
        "waiting": len(failed),
        "sentence": f"Chat was told ({told} of {len(rt.config.notify)})." if told else "Chat was not told.",
        **_problems(problems),
    }


def tell_end(rt: Runtime, incident: dict[str, Any]) -> dict[str, Any]:
    """Tell how a heal ended, once: the incident notes it, so that tidy knows what chat has not heard."""
    if incident.get("told"):
        return {"delivered": 0, "waiting": 0, "sentence": "Chat was told before."}
    if _heard_lately(rt, incident):
        told = {"delivered": 0, "waiting": 0, "sentence": "Chat has heard of such a refusal within the hour."}
    else:
        told = tell(rt, *messages.ended(incident))
    incident["told"] = True
    try:
        rt.state.save_incident(incident)
    except StateError as error:
        rt.logger.warning("%s", error.sentence)
    return told


def _heard_lately(rt: Runtime, incident: Mapping[str, Any]) -> bool:
    """A refusal does not use a sensor's trigger up, and it comes again every ten minutes."""
    if (incident["outcome"], incident.get("source")) != ("refused", "sensor"):
        return False
    try:
        return not rt.first_telling(incident["host"], f"found {incident.get('diagnosis')}")
    except StateError:
        return False


def flush(rt: Runtime) -> tuple[str, ...]:
    """Try again what waits in the outbox; never raises.

    :returns: a sentence for each problem
    """
    if not rt.config.notify:
        return ()
    try:
        read = read_notify_urls(rt.config, rt.datastore)
        notify.flush(rt.state, read.urls, clock=rt.clock)
    except HealerError as error:
        rt.logger.warning("the outbox was not tried: %s", error.sentence)
        return (f"The outbox was not tried: {error.sentence}",)
    return read.problems


def tell_waiting(rt: Runtime) -> dict[str, Any]:
    """As `flush`, and count what came of it; never raises.

    :returns: as `tell`; "delivered" counts messages here, not targets
    """
    if not rt.config.notify:
        return {"delivered": 0, "waiting": 0, "sentence": NO_CHAT}
    try:
        before = len(rt.state.outbox.pending())
        problems = flush(rt)
        left = len(rt.state.outbox.pending())
    except StateError as error:
        return {"delivered": 0, "waiting": 0, "sentence": f"The outbox was not tried: {error.sentence}"}
    told = max(0, before - left)
    sentence = f"Messages that had waited: {told} told, {left} still waiting."
    return {"delivered": told, "waiting": left, "sentence": sentence, **_problems(problems)}


def _problems(problems: Sequence[str]) -> dict[str, Any]:
    return {"problems": list(problems)} if problems else {}
