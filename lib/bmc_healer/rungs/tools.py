"""The commands that rungs share, and how what they print is read."""

from __future__ import annotations

from typing import Any

from ..host.access import HostAccess, Result

# Absolute: a busybox shell would otherwise run its own applets of these names.
_RMMOD = "/sbin/rmmod"
_MODPROBE = "/sbin/modprobe"
_LOG_LIMIT = 30.0
_LOG_BYTES = 2 * 1024 * 1024  # the ring holds 128 KiB to 1 MiB
_WRITE = 'printf %s "$1" > "$2"'
_PARAMETERS = "/sys/module/ipmi_si/parameters/"


def rmmod(access: HostAccess, module: str, *, limit: float, mark: str) -> Result:
    """Remove a module; on a hung BMC this can hang in D (`shutdown_smi`)."""
    return access.run([_RMMOD, module], limit=limit, mark=mark)


def modprobe(access: HostAccess, module: str, *, limit: float, mark: str) -> Result:
    """Load a module; ipmi_si takes up to 189 s in D on a dead BMC, and then says 0 (KERNELS)."""
    return access.run([_MODPROBE, module], limit=limit, mark=mark)


def write_parameter(access: HostAccess, name: str, value: str, *, limit: float, mark: str) -> Result:
    """Write a parameter of ipmi_si; a write that hangs holds the lock of all of them."""
    return access.run(["sh", "-c", _WRITE, "bmc_healer", value, _PARAMETERS + name], limit=limit, mark=mark)


def duplicates(access: HostAccess) -> int | None:
    """How often the driver has called an interface a duplicate: only the kernel's log says so.

    None where the log cannot be read, or has turned over.
    """
    answer = access.run(["dmesg"], limit=_LOG_LIMIT, most=_LOG_BYTES)
    if not answer.ok:
        return None
    return sum(1 for line in answer.out.splitlines() if "ipmi" in line and "duplicate" in line)


def busy(result: Result) -> bool:
    """rmmod says that somebody holds the module, or that a request is pending (EAGAIN)."""
    texts = ("in use", "Resource temporarily unavailable", "Device or resource busy")
    return result.status not in (0, None) and any(text in result.err for text in texts)


def absent(result: Result) -> bool:
    """rmmod says that there is no such module."""
    texts = ("not currently loaded", "does not exist in /proc/modules", "No such file or directory")
    return result.status not in (0, None) and any(text in result.err for text in texts)


def ran(command: str, result: Result) -> dict[str, Any]:
    """One command as evidence."""
    entry: dict[str, Any] = {"command": command, "status": result.status, "seconds": round(result.seconds, 1)}
    if said := last_words(result):
        entry["said"] = said
    if result.unkillable:
        entry["unkillable"] = True
    return entry


def last_words(result: Result) -> str:
    """The last line of the command's messages, printable, at most 200 characters."""
    lines = [line.strip() for line in result.err.splitlines() if line.strip()]
    return "".join(char for char in (lines[-1] if lines else "") if char.isprintable())[:200]


def died_how(result: Result) -> str:
    """Why a command that did not succeed did not: for a sentence."""
    if result.unkillable:
        return f"hangs in the kernel since {result.seconds:.0f} s and cannot be killed"
    if result.status is None:
        return f"did not end within {result.seconds:.0f} s and was killed"
    return f"ended with status {result.status}" + (f" ({said})" if (said := last_words(result)) else "")
