"""What a host lacks before `auto` may heal it: a pure function from what was found to checks and rungs.

Nothing is guessed about the rungs: the ladder's own plan and its last gate are asked what they would say,
were the host's BMC to hang now.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import Enum

from bmc_healer import gates
from bmc_healer.bmc.address import shown
from bmc_healer.bmc.facts import BmcFacts, Login
from bmc_healer.bmc.identity import Identity
from bmc_healer.config.settings import BmcSettings, Config, HostSettings
from bmc_healer.diagnosis import Diagnosis, Findings, Inband, Lan, Verdict, has_device
from bmc_healer.errors import HealerError, HostKeyError, HostLoginError
from bmc_healer.host.facts import HostFacts
from bmc_healer.plan import PROVE_IT, RUNGS, Plan, Request, make_plan
from bmc_healer.state.refs import HostMemory

HOST_CHECKS = ("ssh", "host_key", "sudo", "ipmitool", "driver")
BMC_CHECKS = ("bmc", "login", "identity")
LADDER = "ladder"  # when none of these is missing, and a heal would get nowhere all the same

_UNPROVEN = Identity(False, "", "")


class State(str, Enum):
    """How one thing stands that a heal needs."""

    GOOD = "good"
    MISSING = "missing"
    UNSEEN = "unseen"  # could not be looked at, for want of something else
    NONE = "none"  # not needed, as the host is configured


class Auto(str, Enum):
    """Whether `auto` could heal the host, were its BMC to hang now."""

    YES = "yes"
    PARTLY = "partly"  # it would try, and could not end healed
    NO = "no"
    BY_HAND = "by hand"  # transport: none: only a person, by force


@dataclass(frozen=True)
class Check:
    """One thing that a heal needs; where it is missing, `what` is the fault and `do` how to mend it."""

    name: str
    state: State
    what: str = ""
    do: str = ""

    @property
    def sentences(self) -> tuple[str, str]:
        """`The IPMI driver is not loaded.` and `Run ...`; empty where there is nothing to say."""
        return _whole(self.what), _whole(self.do)

    @property
    def sentence(self) -> str:
        """Both."""
        return " ".join(self.sentences).strip()


@dataclass(frozen=True)
class Seen:
    """What one look at a host and its BMC brought.

    :param host_error: why there are no `facts`; `root_error`: why nothing can be run as root
    :param bmc_error: why the BMC has no address, or its login no password
    :param held: why `auto` would be refused for now, whatever was seen; empty: it would not
    """

    host: HostSettings
    now: float
    memory: HostMemory
    facts: HostFacts | None = None
    host_error: HealerError | None = None
    root_error: HealerError | None = None
    bmc: BmcFacts | None = None
    bmc_error: HealerError | None = None
    identity: Identity = _UNPROVEN
    held: str = ""


@dataclass(frozen=True)
class HostAudit:
    """The result for one host.

    :param rungs: of `plan.RUNGS` those that a heal would have; `left_out` says why not the others
    :param notes: sentences worth knowing about what is no fault
    """

    host: str
    checks: tuple[Check, ...]
    auto: Auto
    sentence: str
    rungs: tuple[str, ...] = ()
    left_out: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def missing(self) -> tuple[Check, ...]:
        """What an operator has to mend."""
        return tuple(check for check in self.checks if check.state is State.MISSING)


def _whole(text: str) -> str:
    end = "" if text.endswith(("?", ".")) else "."
    return f"{text[:1].upper()}{text[1:]}{end}" if text else ""


def judge(seen: Seen, config: Config) -> HostAudit:
    """Name what is missing, and say whether `auto` could heal this host."""
    checks = (*_host_checks(seen), *_bmc_checks(seen))
    plan = _plan(seen, config)
    auto, sentence = _auto(seen, plan, config)
    if auto in (Auto.NO, Auto.PARTLY) and not any(check.state is State.MISSING for check in checks):
        checks = (*checks, Check(LADDER, State.MISSING, sentence))
    return HostAudit(
        seen.host.name,
        checks,
        auto,
        sentence,
        tuple(rung for rung in RUNGS if rung in plan.steps),
        {rung: plan.left_out[rung] for rung in RUNGS if rung in plan.left_out},
        tuple(_notes(seen)),
    )


def _host_checks(seen: Seen) -> Iterator[Check]:
    facts = seen.facts
    if seen.host.transport == "none":
        yield from (Check(name, State.NONE) for name in HOST_CHECKS)
        return
    yield from _way_in(seen)
    if facts is None:
        yield from (Check(name, State.UNSEEN) for name in HOST_CHECKS[2:])
        return
    yield _fault("sudo", seen.root_error)
    if facts.ipmitool:
        yield Check("ipmitool", State.GOOD)
    else:
        what = "ipmitool is not on the host's PATH: in-band IPMI can be neither reset nor checked"
        yield Check("ipmitool", State.MISSING, what, "Install the package ipmitool on the host")
    yield _driver(facts)


def _way_in(seen: Seen) -> Iterator[Check]:
    error = seen.host_error
    if seen.host.transport == "local":
        yield _fault("ssh", error) if error else Check("ssh", State.NONE)
        yield Check("host_key", State.NONE)
    elif isinstance(error, HostKeyError):
        yield Check("ssh", State.UNSEEN)
        yield _fault("host_key", error)
    else:
        yield _fault("ssh", error)
        known = error is None or isinstance(error, HostLoginError)
        yield Check("host_key", State.GOOD if known else State.UNSEEN)


def _driver(facts: HostFacts) -> Check:
    if has_device(facts):
        return Check("driver", State.GOOD)
    if not facts.driver_loaded and not facts.had_bmc:
        what = "the host shows no IPMI interface (SMBIOS type 38, ACPI IPI0001): in-band nothing can hang"
        do = (
            "Run `modprobe -a ipmi_si ipmi_devintf` if it has one all the same, else take it out of the hosts"
        )
    elif not facts.driver_loaded:
        what = "the IPMI driver is not loaded"
        do = "Run `modprobe -a ipmi_si ipmi_devintf`, and name both in /etc/modules-load.d for the next boot"
    elif "ipmi_devintf" not in {*facts.modules, *facts.builtin}:
        what = "there is no /dev/ipmi0: ipmi_devintf is not loaded"
        do = "Run `modprobe ipmi_devintf`, and name it in /etc/modules-load.d for the next boot"
    else:
        what = "the IPMI driver is loaded, and there is no /dev/ipmi0: it found no BMC, or gave up on it"
        do = "See its messages in dmesg; `rmmod ipmi_si` and `modprobe ipmi_si` let it search again"
    return Check("driver", State.MISSING, what, do)


def _bmc_checks(seen: Seen) -> Iterator[Check]:
    settings, bmc = seen.host.bmc, seen.bmc
    if settings is None or bmc is None:
        none = HealerError(
            "no BMC is configured: nothing can be reset out of band",
            do="Give it bmc.address and bmc.credential",
        )
        yield _fault("bmc", seen.bmc_error or none)
        yield from (Check(name, State.UNSEEN) for name in BMC_CHECKS[1:])
        return
    if bmc.alive:
        yield Check("bmc", State.GOOD)
    else:
        what = "the BMC does not answer on the LAN"
        do = "Correct bmc.address, switch IPMI over LAN on, or open UDP port 623 on the way"
        yield Check("bmc", State.MISSING, what, do)
    yield _login(seen, settings, bmc)
    yield _identity(seen, bmc)


def _login(seen: Seen, settings: BmcSettings, bmc: BmcFacts) -> Check:
    said = bmc.error.removeprefix(f"{shown(bmc.address, settings.port)}: ").rstrip(".")
    if bmc.login is Login.OK:
        return Check("login", State.GOOD)
    if seen.bmc_error is not None:
        return _fault("login", seen.bmc_error)
    if bmc.login is Login.REFUSED:
        do = f"Correct the credential, then run `bmc-healer resume credential:{settings.credential}`"
        return Check("login", State.MISSING, re.split("[.;] ", said)[0], do)  # without its own advice
    if bmc.login is Login.PRIVILEGE:
        what = f"the credential {settings.credential} may log in to the BMC, but is no administrator there"
        do = "Give that user administrator privilege on the BMC's LAN channel: only then may it reset"
        return Check("login", State.MISSING, what, do)
    if bmc.login is Login.FAILED:
        return Check("login", State.MISSING, said, "Look at the BMC's users, sessions and IPMI 2.0 settings")
    return Check("login", State.UNSEEN)


def _identity(seen: Seen, bmc: BmcFacts) -> Check:
    """Unproven counts as missing only once everything that could have proven it was looked at."""
    if seen.identity.proven:
        return Check("identity", State.GOOD)
    facts = seen.facts
    host_seen = seen.host.transport == "none" or (facts is not None and facts.privileged)
    serial_unseen = bmc.login is not Login.OK and facts is not None and bool(facts.dmi.serial)
    guid_unseen = bmc.login is not Login.OK and bmc.guid is None
    if not bmc.alive or not host_seen or serial_unseen or guid_unseen:
        return Check("identity", State.UNSEEN)
    return Check("identity", State.MISSING, seen.identity.sentence.removeprefix(f"{bmc.address}: "), PROVE_IT)


def _fault(name: str, error: HealerError | None) -> Check:
    """Missing for the reason that the error tells; good without one."""
    if error is None:
        return Check(name, State.GOOD)
    return Check(
        name, State.MISSING, f"{error.where}: {error.what}" if name == "login" else error.what, error.do
    )


def _plan(seen: Seen, config: Config) -> Plan:
    """What the ladder would do if the driver's counters proved a hang now."""
    facts, bmc = seen.facts, seen.bmc
    lan = Lan.NONE if bmc is None else Lan.ALIVE if bmc.alive else Lan.DARK
    request = Request(force=seen.host.transport == "none")
    if facts is None:
        diagnosis = Diagnosis(Verdict.UNREACHABLE, Inband.UNKNOWN, lan, (), "")
    else:
        verdict = Verdict.HUNG if lan is Lan.ALIVE else Verdict.HUNG_DARK
        diagnosis = Diagnosis(verdict, Inband.HUNG, lan, (), "", proven_hang=True)
    found = Findings(seen.now, facts, bmc, seen.memory)
    return make_plan(diagnosis, found, seen.identity, request, config.guardrails, config.ladder)


def _auto(seen: Seen, plan: Plan, config: Config) -> tuple[Auto, str]:
    by_hand = "nothing on the host can be looked at (transport: none), so `auto` never resets it"
    why_none = plan.sentence.strip()
    if seen.host.transport == "none":
        if plan.steps:
            return Auto.BY_HAND, f"{by_hand}; a person can: `bmc-healer heal {seen.host.name} --force`."
        return Auto.BY_HAND, f"{by_hand}, and a person could not either: {why_none}"
    if not plan.steps:
        return Auto.NO, why_none
    healthy = gates.health(
        None
        if seen.facts is None
        else replace(seen.facts, clients=()),  # what hangs there now may be gone then
        seen.bmc,
        config.ladder.steady_answers if seen.facts is not None and seen.facts.privileged else 0,
        gates.Baseline(),
        watch=config.watch,
        ladder=config.ladder,
    )
    tried = ", ".join(plan.steps)
    if "oob" not in plan.steps:
        return (
            Auto.PARTLY,
            f"It would try {tried}; that ends no proven hang. {plan.left_out.get('oob', '')}".strip(),
        )
    if not healthy.passed:
        return (
            Auto.PARTLY,
            f"It would try {tried}, and the last gate would not let it pass: {healthy.sentence}",
        )
    return Auto.YES, f"It would be healed by {tried}."


def _notes(seen: Seen) -> Iterator[str]:
    if seen.held:
        yield seen.held
    if seen.host.bmc is not None and seen.host.bmc.identity == "trust":
        yield "Whose BMC it is was not proven but is trusted (bmc.identity: trust)."
    if seen.bmc is not None and seen.bmc.device_available is False:
        yield 'The BMC says "device not available": its firmware is being updated, or it is starting.'
