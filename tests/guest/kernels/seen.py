"""Measurements in a guest, with the guest's own clock."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

from bmc_healer.config.settings import HostSettings, SshSettings
from bmc_healer.host import open_access
from bmc_healer.host.access import HostAccess
from lab import Lab, LabError

LATER_SECONDS = 15.0  # a queued reset leaves the driver within a second of the BMC's return


class Timed(NamedTuple):
    """A finished command: exit status, seconds, last line, and whether it was seen in D."""

    rc: int
    seconds: float
    said: str
    uninterruptible: bool

    def __str__(self) -> str:
        in_d = " in D" if self.uninterruptible else ""
        said = f', "{self.said}"' if self.said else ""
        return f"{self.seconds:.1f} s{in_d}, rc {self.rc}{said}"


def start(lab: Lab, command: str) -> None:
    """Start a command of which `ended` tells later."""
    now = "cut -d' ' -f1 /proc/uptime"
    lab.guest(
        f"rm -f /tmp/ended; (a=$({now}); {command} > /tmp/said 2>&1; r=$?; "
        f'echo "$r $a $({now})" > /tmp/ending; mv /tmp/ending /tmp/ended) > /dev/null 2>&1 &'
    )


def ended(lab: Lab, name: str, seconds: float) -> Timed | None:
    """Wait for the command; None: it goes on. `name` is that of its process."""
    state = f"for p in $(pidof {name}); do sed 's/.*) //' /proc/$p/stat; done 2>/dev/null | grep -c ^D"
    deadline, uninterruptible = time.monotonic() + seconds, 0
    while time.monotonic() < deadline:
        uninterruptible += int(lab.guest(state).out or 0) > 0
        if lab.guest("test -e /tmp/ended").rc == 0:
            rc, began, end = lab.guest("cat /tmp/ended").out.split()
            lines = [line for line in lab.guest("cat /tmp/said").out.splitlines() if "IANA" not in line]
            # Once is an accident: every system call may be seen in D for a moment.
            return Timed(
                int(rc),
                float(end) - float(began),
                lines[-1].strip()[:60] if lines else "",
                uninterruptible > 1,
            )
        time.sleep(1)
    return None


def channels(lab: Lab) -> str:
    """The reset commands that reached the BMC."""
    return " ".join(one.channel for one in lab.bmc.status().received) or "none"


def later_resets(lab: Lab) -> str:
    """The channels once a queued reset has had its time; the BMC is back."""
    before = lab.bmc.status().resets
    with suppress(LabError):
        lab.bmc.wait_reset(before + 1, seconds=LATER_SECONDS)
    return channels(lab)


def reset_out_of_band(lab: Lab) -> None:
    """As a person would, and wait until the BMC is back."""
    lab.bmc.reset_seconds(3)
    lab.oob("mc", "reset", "cold")
    lab.bmc.wait_reset(1, seconds=60)


def abandoned_request(lab: Lab) -> None:
    """The BMC hangs, and the client that asked is killed: its request stays in the driver."""
    lab.bmc.hang()
    lab.guest("(setsid ipmitool mc info > /dev/null 2>&1 &)")
    lab.bmc.wait(lambda now: now.swallowed > 0, seconds=60, what="a request that hangs")
    lab.guest("killall -9 ipmitool; while pidof ipmitool; do sleep 0.2; done", timeout=90)


@contextmanager
def entered(lab: Lab) -> Iterator[HostAccess]:
    """The product's way into the guest."""
    ssh = SshSettings(lab.ssh_port, "root", str(lab.key_file), str(lab.known_hosts), connect_timeout=30.0)
    with open_access(HostSettings(lab.name, "127.0.0.1", "ssh", ssh)) as access:
        yield access


def deed() -> dict[str, Any]:
    """What a rung wants besides: nobody objects."""
    return {"may_send": lambda: None, "mark": "kernels:1"}
