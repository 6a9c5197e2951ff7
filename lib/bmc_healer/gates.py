"""The gates: pure functions from what was seen after a rung to passed or failed, with the reason.

Only what was seen counts. A claim (`Sent cold reset command to MC`, a completion code, an exit status) is
never proof: a reset is proven by a dark period or by a session of before it that the BMC no longer knows.
"""

from __future__ import annotations

from dataclasses import dataclass

from bmc_healer.bmc.facts import BmcFacts
from bmc_healer.bmc.identity import same_machine
from bmc_healer.config.settings import LadderSettings, WatchSettings
from bmc_healer.diagnosis import has_device, stuck
from bmc_healer.host.facts import HostFacts

QUEUED = {
    "": "",
    "seen": " The in-band reset that was queued in the driver was carried out as well: two resets.",
    "dropped": " The in-band reset that was queued went with the driver.",
    "not seen": " The in-band reset that was queued in the driver was not seen to be carried out.",
}


@dataclass(frozen=True)
class GateResult:
    """`sentence` names the first thing that is missing, or what was proven; `warnings` do not fail a gate."""

    passed: bool
    sentence: str
    warnings: tuple[str, ...] = ()
    doubt: bool = False  # the reset happened, something else is missing: the ladder goes on to the last gate

    @property
    def verdict(self) -> str:
        """`passed`, `doubt` or `failed`, as the ladder's table knows them."""
        if self.passed:
            return "passed"
        return "doubt" if self.doubt else "failed"


@dataclass(frozen=True)
class ResetProof:
    """What was seen of a reset. `dark_seconds` None: no dark period was seen; `back`: it answers again."""

    dark_seconds: float | None
    session_dead: bool
    back: bool
    steady: bool  # several good answers in a row
    inband_silence: bool = False  # where the LAN side was dead before: in-band fell silent after the reset

    @property
    def happened(self) -> bool:
        """The BMC did reset."""
        return self.dark_seconds is not None or self.session_dead or self.inband_silence


@dataclass(frozen=True)
class Baseline:
    """What was true before the deed: identity, firmware, boot and power."""

    boot_id: str = ""
    guid: str | None = None
    firmware: str | None = None
    power_on: bool | None = None


def in_band_reset(
    proof: ResetProof, answers: int, ladder: LadderSettings, *, watched: bool = True
) -> GateResult:
    """After `ipmitool mc reset cold` on the host: did the BMC reset, and does in-band answer?

    :param watched: the LAN side could be watched meanwhile
    """
    if not watched:
        return GateResult(False, "Whether the BMC reset could not be watched: it has no LAN address here.")
    if not proof.happened:
        return GateResult(
            False, "The BMC never went dark: the reset did not reach it, whatever ipmitool said."
        )
    if not proof.back and proof.inband_silence:
        return GateResult(False, "The BMC reset (in-band was silent), and its LAN side is as dead as before.")
    if not proof.back:
        return GateResult(False, "The BMC went dark and has not come back.")
    if answers < ladder.steady_answers:
        return GateResult(
            False, f"The BMC reset, but in-band answered {answers} of {ladder.steady_answers} times."
        )
    return GateResult(True, f"The BMC reset ({_how(proof)}) and in-band answers again.")


def relief(host: HostFacts | None, watch: WatchSettings, rung: str) -> GateResult:
    """After unload or throttle: is the CPU free? This is relief, not cure."""
    if host is None:
        return GateResult(False, "The host could not be looked at.")
    if host.kipmi_percent >= watch.kipmi_cpu_low:
        return GateResult(False, f"kipmi still takes {host.kipmi_percent:.0f} % of a core.")
    if rung == "unload" and any(interface.windows for interface in host.interfaces) and host.kipmi:
        return GateResult(False, "kipmi is idle, but the driver is still loaded.")
    gone = "kipmi is gone" if not host.kipmi else f"kipmi takes {host.kipmi_percent:.0f} %"
    return GateResult(True, f"The CPU is free: {gone}. The BMC is as ill as before.")


def out_of_band_reset(
    proof: ResetProof, bmc: BmcFacts, before: Baseline, *, queued_reset: str = ""
) -> GateResult:
    """After the cold reset over the LAN.

    :param queued_reset: what became of an in-band reset that was still queued in the driver: `seen` (carried
        out, a second dark period), `dropped` (the driver is gone), `not seen`; empty when there was none
    """
    if not proof.happened:
        return GateResult(False, "The BMC never went dark and still knows the old session: it did not reset.")
    if not proof.back:
        return GateResult(False, f"The BMC went dark ({_how(proof)}) and has not come back.")
    if not proof.steady:
        return GateResult(False, "The BMC came back, but does not answer several times in a row.", doubt=True)
    missing = _same_and_on(bmc, before)
    if missing:
        return GateResult(False, missing, doubt=True)
    told = f"The BMC reset ({_how(proof)}) and answers.{QUEUED[queued_reset]}"
    return GateResult(True, told, _firmware(bmc, before))


def health(
    host: HostFacts | None,
    bmc: BmcFacts | None,
    answers: int,
    before: Baseline,
    *,
    watch: WatchSettings,
    ladder: LadderSettings,
) -> GateResult:
    """The last gate: in-band and LAN both, the host unharmed, nothing left behind."""
    missing = _in_band_missing(host, answers, watch, ladder) or _lan_missing(bmc, before)
    if missing:
        return GateResult(False, missing)
    assert host is not None and bmc is not None  # noqa: S101 - both are what the two checks looked at
    if before.boot_id and host.boot_id != before.boot_id:
        return GateResult(False, "The host has rebooted during the heal: its boot_id differs.")
    return GateResult(
        True,
        f"In-band answered {answers} times in a row, kipmi takes {host.kipmi_percent:.0f} %, "
        f"the BMC answers over the LAN{', the host did not reboot' if before.boot_id else ''}.",
        _firmware(bmc, before),
    )


def _in_band_missing(
    host: HostFacts | None, answers: int, watch: WatchSettings, ladder: LadderSettings
) -> str:
    if host is None:
        return "In-band IPMI could not be checked: the host cannot be looked at."
    if not has_device(host):
        return "There is no /dev/ipmi device that a driver owns."
    if not host.ipmitool:
        return "In-band IPMI could not be checked: ipmitool is not installed on the host."
    if answers < ladder.steady_answers:
        return f"In-band IPMI answered only {answers} of {ladder.steady_answers} times."
    if any(stuck(interface.windows) for interface in host.interfaces):
        return "The driver's counters are stuck again."
    if host.kipmi_percent >= watch.kipmi_cpu_low:
        return f"kipmi still takes {host.kipmi_percent:.0f} % of a core."
    left = [tool for tool in host.clients if tool.state == "D" and tool.kind in ("client", "module")]
    return f"{left[0].program} (pid {left[0].pid}) is still stuck in D." if left else ""


def _lan_missing(bmc: BmcFacts | None, before: Baseline) -> str:
    if bmc is None:
        return "No BMC address is configured, so the LAN side could not be checked."
    if not bmc.alive:
        return "The BMC's LAN side is silent."
    if bmc.device_available is False:
        return 'The BMC says "device not available": it is not done booting.'
    return _same_and_on(bmc, before)


def _same_and_on(bmc: BmcFacts, before: Baseline) -> str:
    """What was known before must be known again: a BMC that does not tell has not been checked."""
    if before.guid and not bmc.guid:
        return "Whether it is the same BMC could not be checked: it does not tell its GUID."
    if before.guid and bmc.guid and before.guid != bmc.guid and not same_machine(before.guid, bmc.guid):
        return "The BMC that answers now is another one: its GUID differs."
    if before.power_on is not None and bmc.power_on is None:
        return "Whether the host is on could not be checked: the BMC does not tell its power."
    if before.power_on and bmc.power_on is False:
        return "The host was powered off: chassis power is off, it was on before the reset."
    return ""


def _firmware(bmc: BmcFacts, before: Baseline) -> tuple[str, ...]:
    if before.firmware and bmc.firmware and before.firmware != bmc.firmware:
        return (f"The BMC's firmware is {bmc.firmware}, it was {before.firmware} before the reset.",)
    return ()


def _how(proof: ResetProof) -> str:
    if proof.dark_seconds is not None:
        return f"dark for {proof.dark_seconds:.0f} s"
    return "in-band was silent" if proof.inband_silence else "the old session is dead"
