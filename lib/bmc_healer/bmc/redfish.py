"""Redfish as the way in when lanplus is dead: a look, Manager.Reset, and whether a task is running.

Each call runs in a process of its own (`redfish_child`) with a hard deadline.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from bmc_healer.bmc.child import Child, ChildError
from bmc_healer.bmc.facts import BmcFacts, Login, ResetAnswer
from bmc_healer.errors import BmcError, BmcLoginError

if TYPE_CHECKING:
    from bmc_healer.config.secrets import BmcLogin
    from bmc_healer.config.settings import RedfishSettings

_MODULE = "bmc_healer.bmc.redfish_child"


def look(
    settings: RedfishSettings, login: BmcLogin, *, limit: float, clock: Callable[[], float] = time.time
) -> BmcFacts:
    """What Redfish says; `guid` is the SMBIOS UUID. A fault is in `error`, not raised."""
    now = clock()
    try:
        found = _ask("look", settings, login, limit)
    except BmcError as error:
        return BmcFacts(now, settings.url, alive=False, error=error.sentence)
    kind = Login(found["login"])
    told = {key: found[key] for key in ("guid", "firmware", "device_available", "power_on") if key in found}
    return BmcFacts(now, settings.url, kind != Login.FAILED, kind, error=_sentence(found, settings), **told)


def task_running(settings: RedfishSettings, login: BmcLogin, *, limit: float) -> bool:
    """Whether a task, such as a firmware update, is not finished; a BMC without task service has none.

    :raises BmcLoginError: when the credential is refused
    :raises BmcError: when it cannot be known: then nothing may be reset
    """
    found = _ask("task_running", settings, login, limit)
    if found["error"]:
        kind = BmcLoginError if found["login"] == Login.REFUSED else BmcError
        raise kind(found["error"], settings.url)
    return bool(found["running"])


def manager_reset(
    settings: RedfishSettings, login: BmcLogin, *, limit: float, may_send: Callable[[], None]
) -> ResetAnswer:
    """Send Manager.Reset once; what goes wrong is in `error`, not raised.

    :param may_send: called directly before the request; raises to stop it
    """
    sent = False
    with _child("manager_reset", settings, login, limit) as child:
        try:
            while (event := child.event())["event"] != "done":
                may_send()
                sent = True  # from here on it may have happened, whatever becomes of the child
                child.tell("go")
        except ChildError as error:
            return ResetAnswer(sent, None, error=error.sentence, via="redfish", login=Login.FAILED)
    return ResetAnswer(
        sent=sent,
        completion_code=event.get("code") if sent else None,
        error=_sentence(event, settings),
        via="redfish",
        login=Login(event["login"]),
    )


def _child(operation: str, settings: RedfishSettings, login: BmcLogin, limit: float) -> Child:
    request = {
        "operation": operation,
        "url": settings.url,
        "manager": settings.manager,
        "verify": settings.verify,
        "user": login.username.hex(),
        "password": login.password.hex(),
    }
    return Child(_MODULE, request, limit=limit, where=settings.url)


def _ask(operation: str, settings: RedfishSettings, login: BmcLogin, limit: float) -> dict[str, Any]:
    with _child(operation, settings, login, limit) as child:
        return child.event()


def _sentence(found: dict[str, Any], settings: RedfishSettings) -> str:
    return BmcError(found["error"], settings.url).sentence if found["error"] else ""
