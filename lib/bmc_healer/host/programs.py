"""Which programs talk to a BMC in-band, by name and subcommand. Pure.

Arguments are looked at here and dropped here (they may hold somebody's password).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["client", "flash", "console", "module", "other"]

# One-shot commands: they ask, print and end. Daemons (ipmievd, bmc-watchdog, ipmiseld) are none: killing
# bmc-watchdog reboots the host.
_ONE_SHOT = re.compile(
    r"ipmitool|ipmiutil|ipmimonitoring|bmc-(info|device|config)"
    r"|ipmi-(sensors|sel|fru|chassis|raw|oem|pef|pet|dcmi|config|chassis-config|sensors-config|pef-config|locate)"
)
_MODULE_TOOLS = frozenset({"modprobe", "rmmod", "insmod", "kmod"})

# Programs that write firmware whenever they run, matched at the start of the name in lower case, and programs
# that do so with one of the given words: BMC and BIOS update tools of AMI, ASPEED, Dell, HPE, Intel, Lenovo,
# Supermicro, and fwupd.
_ALWAYS_FLASH = (
    "yafuflash", "socflash", "gigaflash", "afulnx", "alupdate", "lupdate", "fwpiaupd", "flashupdt",
    "sysfwupdt", "iflash", "flash_ilo", "hpsum", "smartupdate",
)  # fmt: skip
_FLASH_WITH: dict[str, frozenset[str]] = {
    "racadm": frozenset({"fwupdate", "update", "rollback"}),
    "dsu": frozenset({"--apply-upgrades", "--apply-upgrades-only", "-u", "--non-interactive", "-n"}),
    "onecli": frozenset({"update"}),
    "sum": frozenset({"updatebmc", "updatebios", "updatecpld"}),
    "saa": frozenset({"updatebmc", "updatebios", "updatecpld"}),
    "fwupdmgr": frozenset({"install", "local-install", "update", "upgrade", "downgrade", "reinstall"}),
    "fwupdtool": frozenset({"install", "install-blob", "update", "upgrade", "downgrade", "reinstall"}),
}

# Comm names (15 characters at most) for snapshot.sh, as an extended regular expression without backslashes.
INTERESTING = "|".join(
    ["ipmi", "IPMI", "^bmc-", "^kipmi"]
    + [f"^{name}$" for name in sorted(_MODULE_TOOLS | set(_FLASH_WITH))]
    + ["^" + "".join(f"[{char}{char.upper()}]" if char.isalpha() else char for char in name)
       for name in _ALWAYS_FLASH]
)  # fmt: skip

_IPMITOOL_COMMANDS = frozenset(
    {
        "raw", "i2c", "spd", "lan", "lan6", "chassis", "power", "event", "mc", "bmc", "sdr", "sensor", "fru",
        "gendev", "sel", "pef", "sol", "tsol", "isol", "user", "channel", "session", "dcmi", "nm", "sunoem",
        "kontronoem", "picmg", "fwum", "firewall", "delloem", "shell", "exec", "set", "hpm", "ekanalyzer",
        "ime", "vita",
    }
)  # fmt: skip
_FLASH_COMMANDS = frozenset({"hpm", "fwum", "ime", "ekanalyzer"})
_CONSOLE_COMMANDS = frozenset({"sol", "tsol", "isol", "shell", "exec"})
# Options of ipmitool that take a value (OPTION_STRING in ipmi_main.c).
_VALUED = frozenset("IoHdPfUpCLAtTmzSlbBekyORND")
_MOST_MODULES = 8  # kept of a command line, which may name anything: one that is used names one or two
_WORD = re.compile(r"[a-z][a-z_-]{1,11}")


@dataclass(frozen=True)
class Program:
    """What may be known of somebody else's command line."""

    program: str
    subcommand: str
    kind: Kind
    inband: bool


def classify(comm: str, argv: Sequence[str]) -> Program:
    """Program, subcommand, kind, and whether it talks to this machine's BMC.

    :param comm: name in /proc/PID/stat, cut to 15 characters
    :param argv: the command line; empty when it could not be read
    """
    name = _base(argv[0]) if argv else comm
    # A script's interpreter stands in argv[0]; comm then is the script's own name.
    words = argv[1:]
    if not name.startswith(comm[:15]):
        name = comm
        if words and _base(words[0]) == name:
            words = words[1:]
    lower = name.lower()
    if name in _MODULE_TOOLS:
        return Program(name, _modules_named(words), "module", True)
    if lower.startswith(_ALWAYS_FLASH):
        return Program(name, "", "flash", True)
    if lower in _FLASH_WITH:
        flashing = any(word.lower() in _FLASH_WITH[lower] for word in words)
        return Program(name, "", "flash" if flashing else "other", True)
    if name == "ipmitool":
        return _ipmitool(words)
    if name.startswith(("ipmiconsole", "ipmi-console")):
        return Program(name, "", "console", False)
    if not _ONE_SHOT.fullmatch(name):
        return Program(name, "", "other", True)
    if name == "ipmiutil":
        return _ipmiutil(words)
    remote = any(word.startswith(("--hostname", "-h")) for word in words)
    return Program(name, "", "client", not remote)


def flashes_by_its_words(program: str) -> bool:
    """Whether a program of this name writes firmware with some command lines and not with others."""
    return program in ("ipmitool", "ipmiutil") or program.lower() in _FLASH_WITH


def _ipmitool(words: Sequence[str]) -> Program:
    interface, host, rest = "", False, list(words)
    while rest and rest[0].startswith("-") and len(rest[0]) > 1:
        option = rest.pop(0)
        for at, letter in enumerate(option[1:], start=1):
            if letter not in _VALUED:
                continue
            value = option[at + 1 :] or (rest.pop(0) if rest else "")
            interface = value if letter == "I" else interface
            host = host or letter == "H"
            break
    # Without -I, a host name means lan (ipmi_main.c).
    inband = not interface.startswith(("lan", "serial")) if interface else not host
    command = rest[0] if rest and rest[0] in _IPMITOOL_COMMANDS else ""
    kind: Kind = "client"
    if command in _FLASH_COMMANDS:
        kind = "flash"
    elif command in _CONSOLE_COMMANDS:
        kind = "console"
    second = (
        rest[1] if command not in ("", "exec", "set") and len(rest) > 1 and _WORD.fullmatch(rest[1]) else ""
    )
    return Program("ipmitool", f"{command} {second}".strip(), kind, inband)


def _ipmiutil(words: Sequence[str]) -> Program:
    command = words[0] if words and _WORD.fullmatch(words[0]) else ""
    kinds: dict[str, Kind] = {
        "sol": "console",
        "fwum": "flash",
        "hpm": "flash",
        "wdt": "other",
        "getevt": "other",
    }
    return Program("ipmiutil", command, kinds.get(command, "client"), "-N" not in words)


def _modules_named(words: Sequence[str]) -> str:
    """The IPMI modules that a module tool was asked for; an ACPI alias of udev counts as ipmi_si."""
    found = []
    for word in words:
        name = _base(word).split(".ko")[0].replace("-", "_")
        if "IPI0001" in word:
            found.append("ipmi_si")
        elif "ipmi" in name and re.fullmatch(r"[a-z0-9_]{4,32}", name):
            found.append(name)
    return " ".join(list(dict.fromkeys(found))[:_MOST_MODULES])


def _base(path: str) -> str:
    return path.rsplit("/", 1)[-1][:64]
