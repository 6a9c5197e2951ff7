"""Operations that need a session with the BMC: a look, the cold reset, the serial number.

Each runs in a process of its own (`session_child`) with a hard deadline. A login is tried once per call.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from bmc_healer.bmc.address import shown
from bmc_healer.bmc.child import Child, ChildError
from bmc_healer.bmc.facts import BmcFacts, Login, ResetAnswer
from bmc_healer.bmc.identity import same_machine
from bmc_healer.bmc.ping import ping, system_guid
from bmc_healer.errors import BmcError, BmcLoginError

if TYPE_CHECKING:
    from bmc_healer.config.secrets import BmcLogin

_MODULE = "bmc_healer.bmc.session_child"
_TOLD = ("guid", "firmware", "device_available", "power_on", "watchdog_running")
_ADVICE = {
    Login.REFUSED: "correct the credential; it is not tried again by itself, since that locks accounts",
    Login.PRIVILEGE: "give the user administrator privilege on the BMC's LAN channel",
}
_MIXED = "correct bmc.address, or redfish.url"
_LONGEST_USER, _LONGEST_PASSWORD = 16, 20  # bytes; IPMI 2.0, 13.20 and 22.30


def look(
    address: str, port: int, login: BmcLogin | None, *, limit: float, clock: Callable[[], float] = time.time
) -> BmcFacts:
    """What the BMC says over the LAN, within `limit` seconds; a fault is in `error`, not raised.

    A dead BMC is found out by the ping, within five seconds.

    :param address: pinned IP address
    :param login: None: only what needs no session
    :raises BmcError: when `address` is not an IP address
    """
    started = time.monotonic()
    now, where = clock(), shown(address, port)
    if not ping(address, port, timeout=ping_timeout(limit)):
        return BmcFacts(now, address, alive=False, error=no_answer(address, port))
    if login is None:
        return BmcFacts(now, address, alive=True, guid=system_guid(address, port))
    try:
        request = _request("look", address, port, login)
        with Child(_MODULE, request, limit=limit - (time.monotonic() - started), where=where) as child:
            found = child.event()
    except BmcError as error:
        return BmcFacts(now, address, alive=True, login=Login.FAILED, error=error.sentence)
    told = {key: found[key] for key in _TOLD if key in found}
    error_sentence = _error(found, where)
    return BmcFacts(now, address, alive=True, login=Login(found["login"]), error=error_sentence, **told)


def ping_timeout(limit: float) -> float:
    """Seconds that each attempt of a look's ping may take, so that its four leave time for the session."""
    return min(1.0, limit / 6)


def no_answer(address: str, port: int) -> str:
    """What a look says of a BMC that the ping did not reach."""
    return f"{shown(address, port)}: the BMC does not answer on the LAN."


def cold_reset(
    address: str,
    port: int,
    login: BmcLogin,
    *,
    limit: float,
    guid: str | None,
    may_send: Callable[[], None],
) -> ResetAnswer:
    """Open a session, ask `may_send`, send Cold Reset once, and see what becomes of the session.

    Lasts until the BMC is back and does not know the session any more (`session_dead`), or else `limit`
    seconds. What goes wrong is in `error`, not raised.

    :param guid: the System GUID that was proven, 32 hex digits: to a BMC with another one nothing is sent.
        None: the address is trusted
    :param may_send: called when the session is open, directly before the request; raises to stop it
    """
    where = shown(address, port)
    sent, code = False, None
    try:
        request = _request("cold_reset", address, port, login)
        child = Child(_MODULE, request, limit=limit, where=where)
    except BmcLoginError as error:
        return ResetAnswer(False, None, error=error.sentence, login=Login.FAILED)
    with child:
        try:
            while (event := child.event())["event"] != "done":
                if event["event"] == "ready":
                    if guid is not None and not same_machine(event["guid"], guid):
                        other = BmcError("another BMC lets us in than the one that was proven", where, _MIXED)
                        return ResetAnswer(False, None, error=other.sentence, login=Login.OK)
                    may_send()
                    sent = True  # from here on it may have happened, whatever becomes of the child
                    child.tell("go")
                elif event["event"] == "answer":
                    code = event["code"]
        except ChildError as error:
            return ResetAnswer(sent, code, error=error.sentence, login=Login.OK if sent else Login.FAILED)
    return ResetAnswer(
        sent=sent,
        completion_code=code,
        session_dead=event.get("session_dead", False),
        error=_error(event, where),
        login=Login(event["login"]),
    )


def fru_serial(address: str, port: int, login: BmcLogin, *, limit: float) -> str | None:
    """The machine's serial number in the BMC's FRU 0; None when it holds none.

    :raises BmcLoginError: when the BMC refuses user or password
    :raises BmcError: when it cannot be asked
    """
    where = shown(address, port)
    with Child(_MODULE, _request("fru_serial", address, port, login), limit=limit, where=where) as child:
        found = child.event()
    if error := found["error"]:
        kind = BmcLoginError if found["login"] == Login.REFUSED else BmcError
        raise kind(error, where, _ADVICE.get(Login(found["login"]), ""))
    serial: str | None = found["serial"]
    return serial


def _request(operation: str, address: str, port: int, login: BmcLogin) -> dict[str, Any]:
    where = shown(address, port)
    if len(login.username) > _LONGEST_USER or len(login.password) > _LONGEST_PASSWORD:
        what = f"IPMI allows {_LONGEST_USER} bytes of user name and {_LONGEST_PASSWORD} bytes of password"
        raise BmcLoginError(f"the login was not tried: {what}", where, "correct the credential")
    return {
        "operation": operation,
        "address": address,
        "port": port,
        "user": login.username.hex(),
        "password": login.password.hex(),
    }


def _error(found: dict[str, Any], where: str) -> str:
    if not found["error"]:
        return ""
    return BmcError(found["error"], where, _ADVICE.get(Login(found["login"]), "")).sentence
