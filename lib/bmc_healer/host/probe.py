"""Asks the BMC in-band, through the host's ipmitool. Each question may occupy a hung driver for minutes.

Whoever calls this sees to it that there is only one at a time and none while the driver is stuck (KERNELS).
"""

from __future__ import annotations

import re
from dataclasses import replace

from .access import HostAccess, Result
from .facts import Dmi, InbandAnswer

# "Get Device ID command failed" contains "Device ID" too: the colon makes the difference.
_DEVICE_ID = re.compile(r"^Device ID +: ", re.MULTILINE)
_FIRMWARE = re.compile(r"^Firmware Revision +: *([0-9][0-9A-Za-z.]{0,15})", re.MULTILINE)
_AVAILABLE = re.compile(r"^Device Available +: *(\w{1,8})", re.MULTILINE)
# Completion code 0xC3 by its name: "Timeout while processing command" (IPMI 2.0, table 5-2)
_GIVEN_UP = re.compile(r"^Get Device ID command failed: Timeout\s*$", re.MULTILINE)
# The driver asks for itself when a client comes; only this line says that it was given up (guest, 6.1)
_LOGGED = re.compile(r"^\[ *(\d+\.\d+)\] .*ipmi.*Couldn't get irq info: c3", re.MULTILINE)
_UPTIME_AND_LOG = "read -r up rest < /proc/uptime; echo $up; exec dmesg"
_LOG_LIMIT = 30.0
_LOG_BYTES = 2 * 1024 * 1024  # the ring holds 128 KiB to 1 MiB
_DMI = ("/sys/class/dmi/id/product_uuid", "/sys/class/dmi/id/product_serial")
_NOISE = re.compile(r"IANA PEN registry")


def inband_answer(access: HostAccess, *, limit: float, mark: str | None = None) -> InbandAnswer:
    """Get Device ID through /dev/ipmi0.

    Where others wait as well, ipmitool gives up before its turn comes: then the kernel's log may still tell
    that the interface gives requests up.

    :param limit: seconds; ipmitool needs 60 of them to give up on a hung BMC
    :raises HostAccessError: the host could not be asked at all
    """
    answer = read_answer(access.run(["ipmitool", "mc", "info"], limit=limit, mark=mark))
    if answer.answered or answer.given_up or answer.busy or answer.unkillable:
        return answer
    log = access.run(["sh", "-c", _UPTIME_AND_LOG], limit=_LOG_LIMIT, most=_LOG_BYTES)
    return replace(answer, given_up=gave_up_lately(log.out, answer.seconds))


def gave_up_lately(log: str, seconds: float) -> bool:
    """Whether the driver's own question was given up in the last seconds. Pure.

    :param log: the host's uptime in the first line, then its dmesg; empty where it may not be read
    """
    first = log.partition("\n")[0].strip()
    if not re.fullmatch(r"\d{1,12}\.\d{1,6}", first):
        return False
    return any(float(first) - float(when) <= seconds for when in _LOGGED.findall(log))


def inband_guid(access: HostAccess, *, limit: float, mark: str | None = None) -> str | None:
    """The System GUID as 32 hex digits in the order of the wire; None when the BMC does not say.

    Asked for raw, since ipmitool's own `mc guid` puts the bytes in one of several orders.
    """
    answer = access.run(["ipmitool", "raw", "0x06", "0x37"], limit=limit, mark=mark)
    digits = "".join(answer.out.split()).lower()
    return digits if answer.ok and re.fullmatch(r"[0-9a-f]{32}", digits) else None


def machine_dmi(access: HostAccess, *, limit: float) -> Dmi:
    """SMBIOS UUID and serial number of the machine that the host runs on now; empty where it does not say."""
    answer = access.run(["grep", "-s", ".", *_DMI], limit=limit)
    said = dict(line.partition(":")[::2] for line in answer.out.splitlines())
    uuid, serial = (said.get(path, "").strip()[:200] for path in _DMI)
    return Dmi(uuid=uuid.lower(), serial=serial)


def read_answer(result: Result) -> InbandAnswer:
    """What `ipmitool mc info` printed. Pure."""
    if result.ok and _DEVICE_ID.search(result.out):
        firmware = _FIRMWARE.search(result.out)
        available = _AVAILABLE.search(result.out)
        return InbandAnswer(
            answered=True,
            seconds=result.seconds,
            firmware=firmware[1] if firmware else "",
            device_available=available is None or available[1].lower() != "no",
        )
    return InbandAnswer(
        answered=False,
        seconds=result.seconds,
        error=_error(result),
        timed_out=result.status is None,
        unkillable=result.unkillable,
        busy="Device or resource busy" in result.err,
        given_up=_GIVEN_UP.search(result.err) is not None,
    )


def _error(result: Result) -> str:
    if result.status is None:
        how = "hangs and cannot be killed" if result.unkillable else "was ended"
        return f"ipmitool mc info gave no answer within {result.seconds:.0f} s and {how}"
    if result.status == 127:
        return "ipmitool is not installed on the host"
    said = [line.strip() for line in result.err.splitlines() if line.strip() and not _NOISE.search(line)]
    text = "".join(char for char in (said[0] if said else "no message") if char.isprintable())[:200]
    return f"ipmitool mc info ended with status {result.status}: {text}"
