"""What is wrong with a host and its BMC: a pure function from findings to one row of the runbook's table.

Busy is not hung: a spinning kipmi is a reason to look, never a reason to reset. What decides is whether
in-band IPMI answers, proven by the driver's counters (no transaction completes while timeouts rise, in
every window looked at) or, where nothing is asked of the driver, by one bounded `mc info`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from bmc_healer.bmc.facts import BmcFacts
from bmc_healer.config.settings import GuardrailSettings, WatchSettings
from bmc_healer.host.clients import hung, may_flash
from bmc_healer.host.facts import CounterWindow, HostFacts, InbandAnswer
from bmc_healer.state.refs import HostMemory

# `mc info` on a hung BMC fails after 60 s, on 7.2 after 15-21 s, on a soft hang after 28 s (measured)
HANG_SECONDS = 10.0


class Inband(str, Enum):
    """The in-band side (KCS, ipmi_si) as the host shows it."""

    ANSWERS = "answers"
    HUNG = "hung"
    NO_DEVICE = "no_device"  # the host has a BMC, but no driver or no device talks to it
    NEVER = "never"  # the host has no IPMI interface at all
    UNKNOWN = "unknown"  # not asked, or the host cannot be reached


class Lan(str, Enum):
    """The LAN side (RMCP+) as the management server sees it."""

    ALIVE = "alive"
    DARK = "dark"
    NONE = "none"  # no BMC address is configured


class Verdict(str, Enum):
    """The rows of the runbook's table (RUNBOOK 4), and the states in which nothing may be done."""

    WELL = "well"
    BUSY = "busy"
    HUNG = "hung"
    HUNG_DARK = "hung_dark"
    LAN_ONLY_DEAD = "lan_only_dead"
    NO_DRIVER = "no_driver"
    UNLOADED = "unloaded"  # a heal of ours left the driver unloaded or throttled, and the BMC is back
    NO_IPMI = "no_ipmi"
    BOOTING = "booting"
    UPDATING = "updating"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True)
class Findings:
    """Everything one look brought together; `host` is None when it could not be reached (`host_error`)."""

    now: float
    host: HostFacts | None
    bmc: BmcFacts | None
    memory: HostMemory
    answer: InbandAnswer | None = None
    host_error: str = ""
    queued_reset: bool = False  # an in-band reset of this boot may still be queued in the driver
    # When a heal that died may have sent an out-of-band reset at the latest, whose end nobody saw
    reset_unseen_at: float | None = None


@dataclass(frozen=True)
class Diagnosis:
    """`symptoms` are what a user of the host notices; `retry_at`: when a passing state may be over.

    `booting` says why its BMC may be booting all the same where the verdict is UNLOADED.
    """

    verdict: Verdict
    inband: Inband
    lan: Lan
    symptoms: tuple[str, ...]
    sentence: str
    proven_hang: bool = False
    retry_at: float | None = None
    booting: str = ""


def stuck(windows: tuple[CounterWindow, ...]) -> bool:
    """True when in every window nothing completed while timeouts rose, or a request was given up.

    A slow but healthy BMC (3 s a reply) still completes 3-4 requests in 10 s (KERNELS, measured), so a
    window shorter than that proves nothing and does not count.
    """
    long_enough = [window for window in windows if window.seconds >= 9.0]
    return bool(long_enough) and all(
        window.completed == 0 and (window.timeouts > 0 or window.hosed > 0) for window in long_enough
    )


def needs_probe(facts: HostFacts, watch: WatchSettings) -> bool:
    """Whether only an in-band `mc info` can tell, and may be sent.

    Never when the counters already say stuck, when there is no device to ask through, or when as many
    clients as the field's rule allows (more than ten: no new IPMI command) are waiting already.
    """
    if any(stuck(interface.windows) for interface in facts.interfaces):
        return False
    waiting = sum(1 for client in facts.clients if client.inband and client.kind == "client")
    return has_device(facts) and facts.ipmitool and facts.privileged and waiting < watch.ipmitool_limit


def has_device(facts: HostFacts) -> bool:
    """A driver is loaded and a device node that it owns is there."""
    return facts.driver_loaded and any(device.owned for device in facts.devices)


def diagnose(found: Findings, watch: WatchSettings, guardrails: GuardrailSettings) -> Diagnosis:
    """Put the findings into one row of the runbook's table."""
    inband = _inband(found, watch)
    lan = _lan(found.bmc)
    symptoms = _symptoms(found.host, watch)
    proven = found.host is not None and any(stuck(item.windows) for item in found.host.interfaces)
    booting = _booting(found, inband, lan, watch, guardrails)
    verdict, sentence = _row(found, inband, lan, symptoms, booting)
    why, until = booting if booting and verdict in (Verdict.BOOTING, Verdict.UNLOADED) else ("", None)
    return Diagnosis(verdict, inband, lan, symptoms, sentence, proven, until, why)


def _inband(found: Findings, watch: WatchSettings) -> Inband:
    facts = found.host
    if facts is None:
        return Inband.UNKNOWN
    if not facts.had_bmc and not facts.driver_loaded:
        return Inband.NEVER
    if any(stuck(interface.windows) for interface in facts.interfaces):
        return Inband.HUNG
    if not has_device(facts):
        return Inband.NO_DEVICE
    # ipmitool asks the first interface: what another one completes says nothing of it
    windows = facts.interfaces[0].windows if facts.interfaces else ()
    completing = any(window.completed for window in windows)
    if found.answer is not None:
        return _by_probe(found.answer, completing)
    if completing:
        return Inband.ANSWERS
    # Kernels that show no counters: a pile of clients that all wait is as good as an unanswered probe,
    # and another probe on top of it is what the field's rule forbids.
    waiting = sum(1 for client in facts.clients if hung(client, watch))
    return Inband.HUNG if not windows and waiting >= watch.ipmitool_limit else Inband.UNKNOWN


def _by_probe(answer: InbandAnswer, completing: bool) -> Inband:
    """What an `mc info` proves. One that fails fast failed for another reason than a BMC that hangs.

    Transactions that complete outrank it: a probe that waited in vain behind others met a slow BMC. Not when
    the probe itself came back as given up: then what completes is given up as well (a soft hang).
    """
    if soft_hang(answer):
        return Inband.HUNG
    if answer.answered or completing:
        return Inband.ANSWERS
    waited = answer.timed_out or answer.seconds >= HANG_SECONDS
    return Inband.HUNG if waited and not answer.busy else Inband.UNKNOWN


def soft_hang(answer: InbandAnswer) -> bool:
    """The interface itself ended each attempt with 0xC3, seconds later: the BMC takes no notice."""
    return answer.given_up and answer.seconds >= HANG_SECONDS


def _lan(bmc: BmcFacts | None) -> Lan:
    if bmc is None:
        return Lan.NONE
    return Lan.ALIVE if bmc.alive else Lan.DARK


def _symptoms(facts: HostFacts | None, watch: WatchSettings) -> tuple[str, ...]:
    if facts is None:
        return ()
    symptoms = []
    if facts.kipmi_percent >= watch.kipmi_cpu_low:
        symptoms.append(f"kipmi at {facts.kipmi_percent:.0f} % of a core")
    waiting = [client for client in facts.clients if hung(client, watch)]
    if waiting:
        symptoms.append(
            f"{len(waiting)} IPMI clients waiting for more than {watch.hung_client_seconds:.0f} s"
        )
    stuck_tools = [c for c in facts.clients if c.kind == "module" and c.state == "D"]
    symptoms += [f"{tool.program} stuck in D for {tool.age_seconds:.0f} s" for tool in stuck_tools]
    return tuple(symptoms)


def _updating(found: Findings) -> str:
    """Why firmware may be under update right now; empty when nothing says so."""
    flashing = may_flash(found.host) if found.host else ""
    if flashing:
        return flashing
    if found.bmc is not None and found.bmc.device_available is False:
        return 'the BMC says "device not available" (Get Device ID)'
    if found.answer is not None and found.answer.answered and not found.answer.device_available:
        return 'the BMC says "device not available" in-band'
    return ""


def hang_since(memory: HostMemory, now: float, proof_seconds: float) -> float:
    """When the hang that is seen now was first seen; one that nobody has looked at for long was another."""
    since = memory.hang_since
    if since is None or since < (memory.inband_ok_at or 0.0):
        return now
    return since if now - max(since, memory.hang_proven_at or 0.0) < proof_seconds else now


def _booting(
    found: Findings, inband: Inband, lan: Lan, watch: WatchSettings, guardrails: GuardrailSettings
) -> tuple[str, float] | None:
    """A LAN that was dark in the last minutes is a BMC that boots: its LAN returns minutes before its KCS.

    Without a LAN side to ask only time tells: the driver's counters show the same in a reboot and in a hang.
    """
    memory, limit = found.memory, guardrails.booting_seconds
    sent_at = found.reset_unseen_at
    if sent_at is not None and found.now - sent_at < limit:
        return (
            f"a heal that died may have reset it {max(0.0, found.now - sent_at):.0f} s ago",
            sent_at + limit,
        )
    if lan is Lan.NONE and inband is Inband.HUNG:
        since = hang_since(memory, found.now, guardrails.hang_proof_seconds)
        waiting = [c.age_seconds for c in found.host.clients if hung(c, watch)] if found.host else []
        since = min(since, found.now - max(waiting, default=0.0))
        if found.now - since < limit:
            seconds = found.now - since
            return (
                f"in-band has been silent for {seconds:.0f} s, and without bmc.address nothing else can tell",
                since + limit,
            )
    if lan is Lan.DARK:
        since = memory.lan_dark_since if memory.lan_dark_since is not None else found.now
        if found.now - since < limit:
            return f"its LAN side has been silent for only {found.now - since:.0f} s", since + limit
    if lan is Lan.ALIVE and memory.lan_dark_at is not None and found.now - memory.lan_dark_at < limit:
        ago = found.now - memory.lan_dark_at
        return f"its LAN side was silent {ago:.0f} s ago", memory.lan_dark_at + limit
    return None


def _row(
    found: Findings,
    inband: Inband,
    lan: Lan,
    symptoms: tuple[str, ...],
    booting: tuple[str, float] | None,
) -> tuple[Verdict, str]:
    updating = _updating(found)
    if updating:
        return Verdict.UPDATING, f"The BMC's firmware may be under update: {updating}."
    if inband is Inband.NEVER:
        return Verdict.NO_IPMI, "The host has no IPMI interface: nothing here can hang."
    if inband is Inband.ANSWERS and lan is not Lan.DARK:
        return _answers(found, symptoms)
    if inband is Inband.NO_DEVICE and lan is Lan.ALIVE and _unloaded_by_us(found):
        return Verdict.UNLOADED, "The driver is unloaded since an earlier heal, the LAN side answers."
    if booting:
        maybe = "may be booting" if lan is Lan.NONE else "is booting, not hung"
        return Verdict.BOOTING, f"The BMC {maybe}: {booting[0]}."
    if inband is Inband.ANSWERS:
        return Verdict.LAN_ONLY_DEAD, "In-band IPMI answers, the BMC's LAN side is silent."
    if inband is Inband.HUNG and lan is Lan.ALIVE:
        return Verdict.HUNG, f"In-band IPMI hangs{_seen(symptoms)}, the BMC's LAN side answers."
    if inband is Inband.HUNG:
        return Verdict.HUNG_DARK, f"In-band IPMI hangs{_seen(symptoms)}, the LAN side is no way in."
    if inband is Inband.NO_DEVICE:
        return _no_device(found)
    return Verdict.UNREACHABLE, _unreachable(found, lan)


def _answers(found: Findings, symptoms: tuple[str, ...]) -> tuple[Verdict, str]:
    seconds = f" in {found.answer.seconds:.1f} s" if found.answer and found.answer.answered else ""
    if found.memory.throttled_from is not None:
        return Verdict.UNLOADED, f"In-band IPMI answers{seconds}, kipmi is still throttled."
    if symptoms:
        return Verdict.BUSY, f"Busy, not hung: in-band IPMI answers{seconds}{_seen(symptoms)}."
    if found.answer and not found.answer.answered:
        return Verdict.BUSY, "Busy, not hung: a probe got no turn, but transactions complete."
    return Verdict.WELL, f"No symptom: in-band IPMI answers{seconds}."


def _unloaded_by_us(found: Findings) -> bool:
    """A heal of this boot left the driver unloaded. Loading resets nothing, so it need not wait."""
    return found.host is not None and found.memory.unloaded_boot == found.host.boot_id


def _no_device(found: Findings) -> tuple[Verdict, str]:
    assert found.host is not None  # noqa: S101 - NO_DEVICE is only ever seen on a host
    stuck_tools = [c for c in found.host.clients if c.kind == "module" and c.state == "D"]
    if stuck_tools:
        return Verdict.NO_DRIVER, f"No IPMI device: {stuck_tools[0].program} is stuck in D."
    if found.host.driver_loaded:
        return Verdict.NO_DRIVER, "No IPMI device: the driver is loaded but gave up on this BMC."
    return Verdict.NO_IPMI, "No IPMI driver is loaded and nothing waits for one."


def _unreachable(found: Findings, lan: Lan) -> str:
    sides = {Lan.ALIVE: " Its BMC answers over the LAN.", Lan.DARK: " Its BMC's LAN side is silent."}
    seen = sides.get(lan, "")
    if found.host is None:
        why = found.host_error.removeprefix(f"{found.memory.host}: ").rstrip(".") or "no transport"
        return f"The host could not be looked at: {why}.{seen}"
    return f"Whether in-band IPMI answers could not be found out.{seen}"


def _seen(symptoms: tuple[str, ...]) -> str:
    return f" ({', '.join(symptoms)})" if symptoms else ""
