"""The BMC commands that ipmi_sim lacks or gets wrong, answered here: bytes in, bytes and a wish out.

Command numbers and layouts: IPMI 2.0 specification, chapters 20 (device ID, resets, self test), 22.14 (GUID),
27 (watchdog timer) and 28 (chassis).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

Channel = Literal["inband", "lan"]
ResetKind = Literal["cold", "warm"]

OK = 0x00
INVALID_COMMAND = 0xC1
SYSTEM_INTERFACE = 0x0F  # the channel number of an in-band request
# Device ID data after the firmware bytes: IPMI 2.0, device support 0x9F, manufacturer 4753, product 0x0F02.
DEVICE_REST = bytes([0x02, 0x9F, 0x91, 0x12, 0x00, 0x02, 0x0F])
POWER_ON_OR_RESET = {0x01: True, 0x00: False, 0x05: False, 0x02: True, 0x03: True}  # chassis control -> power
WATCHDOG_RUNNING = 0x40


@dataclass(frozen=True)
class Personality:
    """What the BMC says it is. `guid` is 32 hexadecimal digits in the order of the wire."""

    guid: str
    firmware: str = "9.08"
    device_available: bool = True
    power: bool = True
    watchdog: bytes = bytes([0x04, 0x00, 0x00, 0x00, 0x64, 0x00])  # use SMS/OS, no action, 10 s; not running
    watchdog_told: bool = True


@dataclass(frozen=True)
class Received:
    """A reset command that arrived, also one that changes nothing; `time` in epoch seconds."""

    time: float
    kind: ResetKind
    channel: Channel


@dataclass(frozen=True)
class Answer:
    """The reply's bytes, the personality afterwards, and the reset or chassis command that was received."""

    data: bytes
    personality: Personality
    reset: ResetKind | None = None
    chassis: str | None = None


def firmware_bytes(version: str) -> tuple[int, int]:
    """'9.08' as Get Device ID carries it: major in binary, minor in BCD.

    :raises ValueError: not `<0-127>.<0-99>`
    """
    major, _, minor = version.partition(".")
    if not (major.isdigit() and minor.isdigit() and int(major) <= 0x7F and int(minor) <= 99):
        raise ValueError(f"firmware version {version!r} is not <0-127>.<0-99>")
    return int(major), int(f"{int(minor):02d}", 16)


def channel_of(number: int) -> Channel:
    """The side a request came from."""
    return "inband" if number == SYSTEM_INTERFACE else "lan"


def answer(netfn: int, command: int, data: bytes, who: Personality) -> Answer:
    """The reply to one handed command."""
    match (netfn, command):
        case (0x06, 0x01):
            major, minor = firmware_bytes(who.firmware)
            busy = 0x00 if who.device_available else 0x80
            return Answer(bytes([OK, 0x20, 0x03, major | busy, minor]) + DEVICE_REST, who)
        case (0x06, 0x02):
            return Answer(bytes([OK]), who, reset="cold")
        case (0x06, 0x03):
            return Answer(bytes([OK]), who, reset="warm")
        case (0x06, 0x04):
            return Answer(bytes([OK, 0x55, 0x00]), who)  # 0x55: no error
        case (0x06, 0x37):
            return Answer(bytes([OK]) + bytes.fromhex(who.guid), who)
        case (0x06, 0x22):
            return Answer(bytes([OK]), set_watchdog_running(who, True))
        case (0x06, 0x24) if len(data) == 6:
            # Setting stops a running timer unless bit 6 says "don't stop"; in the answer bit 6 is "running".
            return Answer(
                bytes([OK]),
                replace(
                    who, watchdog=bytes([data[0] & (who.watchdog[0] | ~WATCHDOG_RUNNING & 0xFF)]) + data[1:]
                ),
            )
        case (0x06, 0x25) if who.watchdog_told:
            timer = who.watchdog
            return Answer(bytes([OK]) + timer + timer[4:6], who)  # the countdown of the lab stands still
        case (0x00, 0x01):
            return Answer(bytes([OK, 0x01 if who.power else 0x00, 0x00, 0x00]), who)
        case (0x00, 0x02) if data and data[0] & 0x0F in POWER_ON_OR_RESET:
            wanted = data[0] & 0x0F
            return Answer(
                bytes([OK]), replace(who, power=POWER_ON_OR_RESET[wanted]), chassis=f"{wanted:#04x}"
            )
        case _:
            return Answer(bytes([INVALID_COMMAND]), who)


def set_watchdog_running(who: Personality, running: bool) -> Personality:
    """The watchdog timer started or stopped."""
    use = who.watchdog[0] & ~WATCHDOG_RUNNING | (WATCHDOG_RUNNING if running else 0)
    return replace(who, watchdog=bytes([use]) + who.watchdog[1:])
