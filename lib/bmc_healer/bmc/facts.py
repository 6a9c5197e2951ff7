"""What a look at a BMC over the LAN found: plain frozen data."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Login(str, Enum):
    """How a session with the BMC went."""

    OK = "ok"
    REFUSED = "refused"  # user or password wrong: never tried again by itself
    PRIVILEGE = "privilege"  # logged in, but the BMC answers 0xD4 or grants no administrator
    FAILED = "failed"  # no session for another reason: table full, garbage, silence after the ping
    UNTRIED = "untried"


@dataclass(frozen=True)
class BmcFacts:
    """One look over the LAN. `alive` is the sessionless ping; the rest needs a session and may be None."""

    observed_at: float
    address: str  # the pinned IP address
    alive: bool
    login: Login = Login.UNTRIED
    guid: str | None = None  # 32 hex digits as on the wire
    firmware: str | None = None  # "2.41"
    # False: firmware update or self-initialisation (Get Device ID, bit 7; over Redfish the manager's state)
    device_available: bool | None = None
    power_on: bool | None = None
    watchdog_running: bool | None = None
    error: str = ""


@dataclass(frozen=True)
class ResetAnswer:
    """What the BMC said to the cold reset. `sent` is False when the request never left.

    `completion_code` is IPMI's; over Redfish 0 for an accepted reset, otherwise the HTTP status.
    """

    sent: bool
    completion_code: int | None  # None: no answer came
    session_dead: bool = False  # the session of before the reset is no longer known: proof of a reset
    error: str = ""
    via: str = "lanplus"  # or "redfish"
    login: Login = Login.UNTRIED
