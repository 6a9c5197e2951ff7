"""Names of a running heal and of what it may have done: what verbs, deeds and tidy pass around."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class HealRef:
    """A heal that holds the lock of its host.

    :param fence: number that only grows per host; a deed with an older one is refused
    :param execution: id of the workflow's execution, in the engine's own numbering; "" for none
    :param bmc_address: IP address the BMC was pinned to at the start, with port: `10.1.0.5:623`; None
        without a BMC
    """

    host: str
    incident: str
    fence: int
    execution: str
    bmc_address: str | None

    @property
    def mark(self) -> str:
        """What every process that this heal starts on the host carries in its environment."""
        return f"{self.incident}:{self.fence}"


@dataclass(frozen=True)
class Intent:
    """A deed that was about to happen. Without a `result` it may have happened.

    Times are epoch seconds. After `not_after` the acting process does not send any more.
    """

    key: str
    host: str
    incident: str
    rung: str
    fence: int
    written_at: float
    not_after: float
    boot_id: str = ""
    result: dict[str, Any] | None = None


@dataclass(frozen=True)
class Refusal:
    """Why a heal does not start: the rule, its value, and how to override or when to try again.

    `outcome` is `refused`, or `proposed` when a person may decide.
    """

    rule: str
    value: str
    sentence: str
    override: str = ""
    retry_at: float | None = None
    outcome: str = "refused"


@dataclass(frozen=True)
class HostMemory:
    """What was learnt about a host while it was well; epoch seconds, None for never."""

    host: str
    bmc_guid: str | None = None  # as in-band IPMI gave it while the host was healthy
    firmware: str | None = None
    bios: str | None = None
    inband_ok_at: float | None = None
    hang_proven_at: float | None = None
    hang_since: float | None = None  # when the present or the latest hang was first seen
    lan_alive_at: float | None = None  # last seen answering
    lan_dark_at: float | None = None  # last seen silent
    lan_dark_since: float | None = None  # start of the present or the latest silence
    inband_reset_boot: str = ""  # boot_id of the boot in which the latest in-band reset was sent
    throttled_from: int | None = None  # kipmid_max_busy_us of before a throttle that is still to be undone
    unloaded_boot: str = ""  # boot_id of the boot in which a heal unloaded the driver, until it is loaded
    unloaded_modules: tuple[str, ...] = ()  # what that heal removed, and its interfaces' hotmod parameters
    unloaded_params: tuple[str, ...] = ()
    bmc_guid_machine: str = ""  # the machine that gave bmc_guid (bmc.identity.machine); empty: not known
    machine: str = ""  # the machine on which the host was last seen
