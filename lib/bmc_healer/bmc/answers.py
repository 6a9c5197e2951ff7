"""The data of a BMC's answers as fields of `BmcFacts`. Pure; bytes are understood or a BmcError."""

from __future__ import annotations

from typing import Any

from bmc_healer.errors import BmcError


def device_id(data: bytes) -> dict[str, Any]:
    """Firmware revision as ipmitool prints it ("9.08") and "device available", of Get Device ID (IPMI 2.0,
    20.1).

    Not available means: firmware or SDR update, or self-initialisation in progress.

    :raises BmcError: when the answer is too short
    """
    if len(data) < 11:
        raise BmcError("the BMC's answer to Get Device ID is cut short")
    major, minor = data[2], data[3]
    return {"firmware": f"{major & 0x7F}.{minor:02x}", "device_available": not major & 0x80}


def system_guid(data: bytes) -> dict[str, Any]:
    """32 hex digits in the order of the wire, of Get System GUID (IPMI 2.0, 22.14).

    :raises BmcError: when the answer has another length
    """
    if len(data) != 16:
        raise BmcError("the BMC's answer to Get System GUID has a wrong length")
    return {"guid": data.hex()}


def chassis_status(data: bytes) -> dict[str, Any]:
    """Bit 0 of the first byte of Get Chassis Status (IPMI 2.0, 28.2).

    :raises BmcError: when the answer is too short
    """
    if len(data) < 3:
        raise BmcError("the BMC's answer to Get Chassis Status is cut short")
    return {"power_on": bool(data[0] & 0x01)}


def watchdog_timer(data: bytes) -> dict[str, Any]:
    """Bit 6 of the first byte of Get Watchdog Timer (IPMI 2.0, 27.7).

    :raises BmcError: when the answer is too short
    """
    if len(data) < 8:
        raise BmcError("the BMC's answer to Get Watchdog Timer is cut short")
    return {"watchdog_running": bool(data[0] & 0x40)}


def session_info(data: bytes) -> tuple[int, int]:
    """User id and channel of a session, of Get Session Info (IPMI 2.0, 22.20).

    :raises BmcError: when the answer is too short
    """
    if len(data) < 6:
        raise BmcError("the BMC's answer to Get Session Info is cut short")
    return data[3] & 0x3F, data[5] & 0x0F


def user_limit(data: bytes) -> int:
    """The user's privilege limit on the channel, of Get User Access (IPMI 2.0, 22.27); 4 is administrator.

    :raises BmcError: when the answer is too short
    """
    if len(data) < 4:
        raise BmcError("the BMC's answer to Get User Access is cut short")
    return data[3] & 0x0F
