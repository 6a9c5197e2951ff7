"""One out-of-band operation in a process of its own: `python -m bmc_healer.bmc.session_child`.

pyghmi keeps global state, hangs and leaks (RUNBOOK 6), so every operation gets a fresh process with a
deadline. The protocol with the parent is that of `link`. For a cold reset the child says `ready` once the
session is open and sends nothing before it was told to go.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

from pyghmi.exceptions import IpmiException
from pyghmi.ipmi.fru import FRU

from bmc_healer.bmc import answers
from bmc_healer.bmc.facts import Login
from bmc_healer.bmc.link import Event, Link, serve
from bmc_healer.bmc.one_login import LoginError, OneLogin, SilenceError, open_session
from bmc_healer.bmc.ping import ping
from bmc_healer.errors import BmcError

ANSWER_SECONDS = 5.0  # for the completion code of the cold reset, which is sent once only
CHECK_SECONDS = 0.5  # for one question on the old session
CHECKS = 6  # unanswered in a row by the old session while the BMC answers pings
NO_PRIVILEGE = 0xD4  # completion code: insufficient privilege level (IPMI 2.0, table 5-2)
NO_ADMINISTRATOR = "the BMC lets the user in, but not as administrator"

_APP, _CHASSIS = 0x06, 0x00
_COLD_RESET = 0x02
# IPMI 2.0, table 5-2: SDR repository in update mode, firmware in update mode, initialisation in progress
NOT_AVAILABLE = (0xD0, 0xD1, 0xD2)
_GET_DEVICE_ID = 0x01
_GET_SYSTEM_GUID = 0x37
_GET_SESSION_INFO, _GET_USER_ACCESS = 0x3D, 0x44
_LESS_THAN_ADMINISTRATOR = (1, 2, 3)  # callback, user, operator; other values are an OEM's or none


def look(session: OneLogin, link: Link, found: Event) -> None:
    """Facts that need a session; what the BMC does not tell is left out."""
    found["guid"] = _guid(session)
    questions: tuple[tuple[int, int, Callable[[bytes], Event]], ...] = (
        (_APP, _GET_DEVICE_ID, answers.device_id),
        (_CHASSIS, 0x01, answers.chassis_status),
        (_APP, 0x25, answers.watchdog_timer),
    )
    for netfn, command, understand in questions:
        answer = session.ask(netfn, command)
        if answer["code"] == 0:
            try:
                found |= understand(bytes(answer["data"]))
            except BmcError as error:
                found["error"] = error.what
        elif command == _GET_DEVICE_ID and netfn == _APP and answer["code"] in NOT_AVAILABLE:
            found["device_available"] = False
    if not session.may_reset() or _limited(session):
        found |= {"login": Login.PRIVILEGE.value, "error": NO_ADMINISTRATOR}


def _guid(session: OneLogin) -> str:
    """Get System GUID; should it not be answered, that of RAKP 2."""
    answer = session.ask(_APP, _GET_SYSTEM_GUID)
    with contextlib.suppress(BmcError):
        if answer["code"] == 0:
            return str(answers.system_guid(bytes(answer["data"]))["guid"])
    return bytes(session.remoteguid).hex()


def _limited(session: OneLogin) -> bool:
    """The BMC says that its user is less than an administrator on this channel.

    A granted administrator's session does not prove that he is one: ipmi_sim grants it to everybody whose
    password is right, and answers 0xD4 later. A BMC that does not tell is believed.
    """
    with contextlib.suppress(BmcError, SilenceError):
        info = session.ask(_APP, _GET_SESSION_INFO, (0,))  # of the session in which it is asked
        if info["code"] == 0:
            user, channel = answers.session_info(bytes(info["data"]))
            access = session.ask(_APP, _GET_USER_ACCESS, (channel, user))
            return (
                access["code"] == 0 and answers.user_limit(bytes(access["data"])) in _LESS_THAN_ADMINISTRATOR
            )
    return False


def fru_serial(session: OneLogin, link: Link, found: Event) -> None:
    """The machine's serial number: of the product area, or else the chassis; the board's is another."""
    try:
        info = FRU(ipmicmd=session).info or {}
    except IpmiException as error:
        if not error.ipmicode:
            raise
        info = {}  # a completion code: the BMC has no FRU 0
    serials = (info.get("Serial Number"), info.get("Chassis serial number"))
    found["serial"] = next((str(serial) for serial in serials if isinstance(serial, str) and serial), None)


def cold_reset(session: OneLogin, link: Link, found: Event) -> None:
    """Send the reset once, tell its completion code, then check whether the BMC forgets the session."""
    if not session.may_reset():
        raise LoginError(Login.PRIVILEGE, NO_ADMINISTRATOR)
    link.say("ready", guid=_guid(session))
    if not link.told_to_go():
        return
    answer = session.ask_once(_APP, _COLD_RESET, ANSWER_SECONDS)
    found["code"] = answer["code"] if answer else None
    link.say("answer", code=found["code"])
    if found["code"] in (0, None):
        found["session_dead"] = is_forgotten(session, link.request, link.deadline)
        return
    found["error"] = f"the BMC refuses the cold reset (completion code 0x{found['code']:02x})"
    if found["code"] == NO_PRIVILEGE:
        found["login"] = Login.PRIVILEGE.value


def is_forgotten(session: OneLogin, request: Event, deadline: float) -> bool:
    """Whether the BMC, alive, comes to ignore the session; watched until it does, or else until the deadline.

    A BMC answers once more before it goes dark, and takes minutes to come back: neither an answer nor a
    dark BMC decides anything.
    """
    ignored = 0
    while time.monotonic() < deadline:
        if session.ask_once(_APP, _GET_DEVICE_ID, CHECK_SECONDS) is not None:
            ignored = 0
            time.sleep(CHECK_SECONDS)
        elif ping(request["address"], request["port"], timeout=CHECK_SECONDS, attempts=1):
            ignored += 1
            if ignored == CHECKS:
                return True
        else:
            ignored = 0
    return False


OPERATIONS: dict[str, Callable[[OneLogin, Link, Event], None]] = {
    "look": look,
    "cold_reset": cold_reset,
    "fru_serial": fru_serial,
}


def perform(link: Link) -> Event:
    """Log in, operate, log out; every way in which a BMC misbehaves becomes one sentence."""
    request = link.request
    found: Event = {"login": Login.FAILED.value, "error": ""}
    try:
        session = open_session(
            request["address"],
            request["port"],
            bytes.fromhex(request["user"]),
            bytes.fromhex(request["password"]),
        )
        found["login"] = Login.OK.value
        try:
            OPERATIONS[request["operation"]](session, link, found)
        finally:
            with contextlib.suppress(Exception):
                session.leave()
    except LoginError as error:
        found |= {"login": error.login.value, "error": str(error)}
    except SilenceError:
        found["error"] = "the BMC stopped answering within the session"
    except Exception as error:  # noqa: BLE001 - struct.error, TypeError...: pyghmi trusts what BMCs send
        kind = f"{type(error).__module__}.{type(error).__name__}".removeprefix("builtins.")
        found["error"] = f"the BMC's answers make no sense ({kind})"
    return found


if __name__ == "__main__":
    serve(perform)
