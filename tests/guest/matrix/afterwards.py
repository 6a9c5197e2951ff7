"""The host after a row, seen past the product, and what must be true of every row whatever it is about."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.guest.healer import CONFIG
from tests.guest.outside import IDLE, THROTTLE, answers, assert_left_clean, assert_quiet

BOOT = "cat /proc/sys/kernel/random/boot_id"
MODULES = "grep -o '^[a-z_]*ipmi[a-z_]*' /proc/modules | sort"


@dataclass(frozen=True)
class Before:
    """A guest before its story."""

    boot_id: str
    modules: str


def before(lab: Any) -> Before:
    """Look."""
    return Before(lab.guest(BOOT).out, lab.guest(MODULES).out)


def well(lab: Any, was: Before) -> None:
    """In-band answers, kipmi is idle, the driver is as it was, nothing of the heal is left."""
    assert answers(lab)
    assert_quiet(lab, IDLE)
    assert lab.guest(THROTTLE).out.strip() in ("", "0")
    assert_left_clean(lab)


def relieved(lab: Any, was: Before) -> None:
    """The CPU is free, the BMC is not well."""
    assert_quiet(lab)
    assert_left_clean(lab)


def throttled(lab: Any, was: Before) -> None:
    """The CPU is free by kipmid_max_busy_us; the driver is still loaded."""
    assert lab.guest(THROTTLE).out.strip() == "100"
    assert lab.guest(MODULES).out == was.modules
    relieved(lab, was)


def untouched(lab: Any, was: Before) -> None:
    """Nothing was done to the host."""
    assert lab.guest(MODULES).out == was.modules
    assert lab.guest(THROTTLE).out.strip() in ("", "0")
    assert_left_clean(lab)


def rebooted(lab: Any, was: Before) -> None:
    """Not what a heal may do; the row is about noticing it."""
    assert lab.guest(BOOT).out != was.boot_id


def any_state(lab: Any, was: Before) -> None:
    """The row says nothing of it."""


STATES: dict[str, Callable[[Any, Before], None]] = {
    "well": well,
    "relieved": relieved,
    "throttled": throttled,
    "untouched": untouched,
    "rebooted": rebooted,
    "any": any_state,
}


def assert_unharmed(lab: Any, was: Before) -> None:
    """It did not reboot, and nobody touched its power."""
    assert lab.guest(BOOT).out == was.boot_id
    assert lab.bmc.status().chassis == ()


def leaks(lab: Any, folder: Path, heard: list[tuple[str, str]], reports: Any) -> list[str]:
    """Where the BMC's password is in what the product wrote or said; its configuration alone holds it."""
    secret = str(lab.password)
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != CONFIG]
    found = [str(path) for path in files if secret.encode() in path.read_bytes()]
    found += ["chat" for message in heard for text in message if secret in text]
    return found + (["a report"] if secret in json.dumps(reports) else [])
