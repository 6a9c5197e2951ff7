"""A pyghmi session that logs in exactly once, and can send a request exactly once.

pyghmi 1.6.19 by itself repeats a login: as an operator when the BMC refuses the name, and without end, once a
second, while RAKP message 2 or 4 does not come (`_timedout` calls `_relog`, whose counter passes zero and
goes on). That locks accounts. Cipher suites need no care: 17, then 3 are negotiated in Open Session, where
no user is named yet. `tests/protocol/test_login.py` counts the messages on the wire.

Imports pyghmi: for the child process only (`session_child`).
"""

from __future__ import annotations

import time
from typing import Any

from pyghmi.ipmi.private import constants
from pyghmi.ipmi.private.session import Session

from bmc_healer.bmc.facts import Login

LOGIN_ANSWER_SECONDS = 10.0  # for each RAKP answer: a busy BMC needs seconds to compute one
_ADMINISTRATOR = 4

# RMCP+ status codes (IPMI 2.0, table 13-15) that are about the user or what the user may do
_REFUSED = {0x0C: "user name length", 0x0D: "user name", 0x0E: "GUID", 0x0F: "password"}
_PRIVILEGE = {0x09: "role", 0x0A: "privilege level"}
_FULL = (0x01, 0x0B)
# No authentication, integrity or confidentiality algorithm in common
_NO_SUITE = (0x04, 0x05, 0x06, 0x07, 0x10, 0x11)

Response = dict[str, Any]  # pyghmi's: netfn, command, code, data (bytearray) and, when code is not 0, error


class LoginError(Exception):
    """No session, or not one that may reset; the text is a sentence about the BMC."""

    def __init__(self, login: Login, sentence: str) -> None:
        self.login = login
        super().__init__(sentence)


class SilenceError(Exception):
    """The BMC has an open session with us and does not answer any more."""


class OneLogin(Session):  # type: ignore[misc]  # pyghmi has no types
    """Use `open_session`, which ends with a session or a LoginError."""

    def send_payload(self, *args: Any, **kwargs: Any) -> None:
        """Messages of the login wait long instead of being sent again."""
        if kwargs.get("payload_type") in (constants.payload_types["rakp1"], constants.payload_types["rakp3"]):
            kwargs["timeout"] = LOGIN_ANSWER_SECONDS
        super().send_payload(*args, **kwargs)

    def _relog(self) -> None:
        if self.sessioncontext == "ESTABLISHED":
            raise SilenceError
        asked = {
            None: "Get Channel Authentication Capabilities",
            "OPENSESSION": "Open Session",
            "EXPECTINGRAKP2": "the login (RAKP 1; a BMC may ignore a user it does not know)",
            "EXPECTINGRAKP4": "the login (RAKP 3)",
        }[self.sessioncontext]
        raise LoginError(Login.FAILED, f"the BMC does not answer {asked}")

    def _got_channel_auth_cap(self, response: Response) -> None:
        if response.get("code") == 0 and not (response["data"][1] & 0x80 and response["data"][3] & 0x02):
            raise LoginError(Login.FAILED, "the BMC offers no IPMI 2.0 session")
        super()._got_channel_auth_cap(response)

    def _got_rmcp_response(self, data: bytearray) -> Any:
        if self.attemptedhash == 1 and self._is_error(data, "OPENSESSION"):
            self._refuse(data[1], "Open Session")
        return super()._got_rmcp_response(data)

    def _got_rakp2(self, data: bytearray) -> Any:
        if self._is_error(data, "EXPECTINGRAKP2"):
            self._refuse(data[1], "RAKP 2")
        answer = super()._got_rakp2(data)
        if self.sessioncontext == "FAILED":  # its code is not made with our password: no RAKP 3 was sent
            self._refuse(0x0F, "RAKP 2")
        return answer

    def _got_rakp4(self, data: bytearray) -> Any:
        if self._is_error(data, "EXPECTINGRAKP4"):
            self._refuse(data[1], "RAKP 4")
        return super()._got_rakp4(data)

    def _is_error(self, data: bytearray, context: str) -> bool:
        return self.sessioncontext == context and data[0] == self.rmcptag and data[1] != 0

    def _refuse(self, code: int, stage: str) -> None:
        where = f"({stage}, status 0x{code:02x})"
        if code in _REFUSED:
            raise LoginError(Login.REFUSED, f"the BMC refuses the login: wrong {_REFUSED[code]} {where}")
        if code in _PRIVILEGE:
            raise LoginError(Login.PRIVILEGE, f"the BMC does not let the user be administrator {where}")
        if code in _FULL:
            raise LoginError(Login.FAILED, f"the BMC has no free session {where}")
        if code in _NO_SUITE:
            raise LoginError(Login.FAILED, f"the BMC offers neither cipher suite 17 nor 3 {where}")
        raise LoginError(Login.FAILED, f"the BMC refuses a session {where}")

    def may_reset(self) -> bool:
        """The BMC granted administrator; pyghmi falls back to operator when it does not."""
        return bool(self.privlevel == _ADMINISTRATOR)

    def ask(self, netfn: int, command: int, data: tuple[int, ...] = ()) -> Response:
        """The answer to a harmless question, which is sent up to four times.

        :raises SilenceError: when none comes
        """
        answer: Response = self.raw_command(netfn=netfn, command=command, data=data)
        return answer

    def ask_once(self, netfn: int, command: int, seconds: float) -> Response | None:
        """Send one datagram and wait for its answer; None when none comes within `seconds`."""
        answers: list[Response] = []
        self.raw_command(netfn=netfn, command=command, retry=False, callback=answers.append)
        deadline = time.monotonic() + seconds
        while not answers and (left := deadline - time.monotonic()) > 0:
            Session.wait_for_rsp(left)
        self.incommand = False  # with a callback this is the caller's to do
        self.evq.clear()
        return answers[0] if answers else None

    def leave(self) -> None:
        """Free the session's slot in the BMC; one datagram, also when a question was left unanswered."""
        self.incommand = False
        self.lastpayload = None
        self.logout()


def open_session(address: str, port: int, user: bytes, password: bytes) -> OneLogin:
    """Log in as administrator, once.

    :raises LoginError: when the BMC does not let us in; garbage raises what pyghmi stumbles over
    """
    ended: list[Response] = []
    session = OneLogin(
        bmc=address, userid=user, password=password, port=port, privlevel=_ADMINISTRATOR, onlogon=ended.append
    )
    while not ended:
        Session.wait_for_rsp(1.0)
    if "error" not in ended[0]:
        return session
    if session.sessioncontext == "ESTABLISHED":
        raise LoginError(
            Login.PRIVILEGE, "the BMC lets the user in, but neither as administrator nor operator"
        )
    raise LoginError(Login.FAILED, "the BMC did not open a session")
