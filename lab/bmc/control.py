"""The hand on the simulated BMC's switches: a client of the daemon's control port."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lab.bmc.commands import Received
from lab.errors import LabError

CONTROL_SECONDS = 15.0


@dataclass(frozen=True)
class Status:
    """The BMC as it really is, unseen by what is tested.

    mode: in-band, ok | hang | drop | slow; lan_mode: ok | dead | garbage
    resetting: a reset or reboot is under way, from its acknowledgement to the return
    dark: silent on both sides
    resets: resets carried out on command; reboots: dark periods of its own
    received: every reset command that arrived, carried out or not; chassis: every chassis control command
    requests, answered, swallowed: in-band messages
    lan_received, lan_lost: datagrams; logins: RMCP+ logins begun, one per session
    """

    mode: str
    lan_mode: str
    resetting: bool
    dark: bool
    guest_connected: bool
    resets: int
    reboots: int
    received: tuple[Received, ...]
    chassis: tuple[str, ...]
    requests: int
    answered: int
    swallowed: int
    lan_received: int
    lan_lost: int
    logins: int
    guid: str
    firmware: str
    device_available: bool
    power: bool
    watchdog_running: bool


class Bmc:
    """The switches. Each returns the status right after it took effect."""

    def __init__(self, control_port: int) -> None:
        self._port = control_port

    def _do(self, do: str, **to: Any) -> Status:
        try:
            with socket.create_connection(("127.0.0.1", self._port), timeout=CONTROL_SECONDS) as link:
                link.sendall(json.dumps({"do": do, **to}).encode() + b"\n")
                with link.makefile("rb") as answer:
                    told = json.loads(answer.readline())
        except (OSError, ValueError) as error:
            raise LabError(
                f"the simulated BMC's control port {self._port} does not answer: {error}"
            ) from error
        if "error" in told:
            raise LabError(f"the simulated BMC refused {do}: {told['error']}")
        told["received"] = tuple(Received(**one) for one in told["received"])
        told["chassis"] = tuple(told["chassis"])
        return Status(**told)

    def status(self) -> Status:
        """How the BMC is."""
        return self._do("status")

    def wait(
        self, condition: Callable[[Status], bool], *, seconds: float, what: str = "the condition"
    ) -> Status:
        """The first status that fulfils the condition.

        :raises LabError: it did not come true in time; the text holds the last status
        """
        deadline = time.monotonic() + seconds
        while True:
            status = self.status()
            if condition(status):
                return status
            if time.monotonic() > deadline:
                raise LabError(f"the simulated BMC did not reach {what} within {seconds:g} s: {status}")
            time.sleep(0.1)

    def wait_reset(self, resets: int = 1, *, seconds: float) -> Status:
        """Wait until so many resets were carried out and the BMC is back."""
        return self.wait(
            lambda now: now.resets >= resets and not now.resetting, seconds=seconds, what=f"{resets} resets"
        )

    # ---- in-band side

    def ok(self) -> Status:
        """The in-band side works; a stuck request is completed."""
        return self._inband("ok")

    def hang(self) -> Status:
        """The fault: the KCS interface takes a request and never completes it; the LAN side lives."""
        return self._inband("hang")

    def hang_after(self, answers: int) -> Status:
        """The in-band side answers so many more requests, then hangs."""
        return self._inband("ok", answers=answers)

    def drop(self) -> Status:
        """A soft hang: requests are lost, QEMU answers them with 0xC3 after 4 s each."""
        return self._inband("drop")

    def slow(self, seconds: float) -> Status:
        """Every in-band reply comes late; below 4 s, or QEMU answers in the BMC's place."""
        return self._inband("slow", delay=seconds)

    def _inband(self, mode: str, *, delay: float = 0.0, answers: int | None = None) -> Status:
        return self._do("inband", mode=mode, delay=delay, answers=answers)

    # ---- LAN side

    def lan_ok(self) -> Status:
        """The LAN side works."""
        return self._do("lan", mode="ok", delay=0.0)

    def lan_dead(self) -> Status:
        """The LAN side is silent, as with a cut cable; in-band stays as it is."""
        return self._do("lan", mode="dead", delay=0.0)

    def lan_slow(self, seconds: float) -> Status:
        """Every datagram to the BMC is delayed."""
        return self._do("lan", mode="ok", delay=seconds)

    def lan_garbage(self) -> Status:
        """Every datagram is answered with noise."""
        return self._do("lan", mode="garbage", delay=0.0)

    # ---- resets and reboots

    def reset_seconds(self, seconds: float | None) -> Status:
        """How long a reset keeps the BMC dark; None: for ever."""
        return self._do("plan", seconds=seconds)

    def ack_seconds(self, seconds: float) -> Status:
        """How long the BMC goes on answering after it acknowledged a reset."""
        return self._do("plan", ack_seconds=seconds)

    def ignore_reset(self, *, inband: bool = True, lan: bool = True) -> Status:
        """Acknowledge reset commands of these channels and ignore them; both False: carry them out again."""
        return self._do("plan", ignored=[name for name, on in (("inband", inband), ("lan", lan)) if on])

    def flap(self, answers: int | None = 0) -> Status:
        """After its next resets the in-band side answers so many requests and hangs again (None: no more)."""
        return self._do("plan", answers=answers)

    def firmware_after_reset(self, version: str) -> Status:
        """After its next reset the BMC runs another firmware, e.g. '9.10'."""
        return self._do("plan", firmware=version)

    def reboot(self, seconds: float | None) -> Status:
        """The BMC reboots by itself: dark at once, no reset counted; None: it never comes back."""
        return self._do("reboot", seconds=seconds)

    # ---- what the BMC says of itself

    def set_guid(self, guid: str) -> Status:
        """Another System GUID (32 hexadecimal digits, dashes allowed); LAN sessions are lost."""
        return self._do("personality", guid=guid.replace("-", "").lower())

    def set_firmware(self, version: str) -> Status:
        """Another firmware version at once."""
        return self._do("personality", firmware=version)

    def device_available(self, available: bool) -> Status:
        """The device-available bit of Get Device ID; False: a firmware update is running."""
        return self._do("personality", device_available=available)

    def power(self, on: bool) -> Status:
        """The chassis power the BMC reports."""
        return self._do("personality", power=on)

    def watchdog(self, running: bool | None) -> Status:
        """The BMC's watchdog timer runs, or not; None: it does not tell which (0xC1)."""
        return self._do("watchdog", running=running)

    def restore(self) -> Status:
        """As new: healthy, everything above undone, nothing counted, no LAN session alive."""
        return self._do("restore")
