"""Every row of the runbook's table, and what must not be taken for a hang."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bmc_healer.config.settings import GuardrailSettings, WatchSettings
from bmc_healer.diagnosis import Inband, Verdict, diagnose, needs_probe, stuck
from bmc_healer.host.facts import CounterWindow, Interface, KipmiThread
from tests.unit.made import (
    ANSWER,
    BUSY,
    DEAD_BMC,
    NO_ANSWER,
    NOW,
    QUIET,
    STUCK,
    bmc,
    client,
    found,
    host,
    no_device,
    polled_by_interrupt,
)

WATCH, GUARD = WatchSettings(), GuardrailSettings()
LONG_DARK = {"lan_dark_since": NOW - 3600, "lan_dark_at": NOW - 5}
MODPROBE = client(program="modprobe", subcommand="", kind="module", state="D", age=90.0)

ROWS = {
    "healthy": (found(host(), bmc(), ANSWER), Verdict.WELL),
    "healthy, no BMC configured": (found(host(), None, ANSWER), Verdict.WELL),
    "honest polling": (found(host((BUSY,), kipmi=15.0), bmc(), ANSWER), Verdict.BUSY),
    "slow BMC, 3 s a reply": (found(host((BUSY, BUSY, BUSY), kipmi=25.0), bmc()), Verdict.BUSY),
    "soft hang: all that completes is given up": (
        found(host((BUSY,)), bmc(), replace(NO_ANSWER, seconds=28.3, given_up=True)),
        Verdict.HUNG,
    ),
    "given up at once, 0xC3 for another reason": (
        found(host((BUSY,)), bmc(), replace(NO_ANSWER, seconds=0.4, given_up=True)),
        Verdict.BUSY,
    ),
    "hung, and another interface is in use": (
        found(host(interfaces=(host().interfaces[0], Interface("ipmi1", None, (BUSY,)))), bmc(), NO_ANSWER),
        Verdict.HUNG,
    ),
    "a probe got no turn, others are answered": (found(host((BUSY,)), bmc(), NO_ANSWER), Verdict.BUSY),
    "hung, kipmi at 100 %": (found(host((STUCK,) * 3, kipmi=100.0), bmc()), Verdict.HUNG),
    "hung, kernel 6.1 at 15 %": (found(host((STUCK,) * 3, kipmi=15.0), bmc()), Verdict.HUNG),
    "hung, interrupt-driven": (found(polled_by_interrupt(), bmc()), Verdict.HUNG),
    "hung with nobody asking": (found(host((QUIET,)), bmc(), NO_ANSWER), Verdict.HUNG),
    "hung, no counters, pile-up": (
        found(host((), interfaces=(), clients=tuple(client(i) for i in range(12))), bmc()),
        Verdict.HUNG,
    ),
    "hung, LAN dead for an hour": (
        found(host((STUCK,) * 3, kipmi=100.0), DEAD_BMC, **LONG_DARK),
        Verdict.HUNG_DARK,
    ),
    "no LAN side: hung or rebooting, seen just now": (found(host((STUCK,) * 3), None), Verdict.BOOTING),
    "no LAN side: hung for eleven minutes": (
        found(host((STUCK,) * 3), None, hang_since=NOW - 660, hang_proven_at=NOW - 30),
        Verdict.HUNG_DARK,
    ),
    "no LAN side: a hang of long ago, and one now": (
        found(host((STUCK,) * 3), None, hang_since=NOW - 90000),
        Verdict.BOOTING,
    ),
    "no LAN side: it has answered since that hang": (
        found(host((STUCK,) * 3), None, hang_since=NOW - 660, inband_ok_at=NOW - 60),
        Verdict.BOOTING,
    ),
    "no LAN side: clients have waited for an hour": (
        found(host((STUCK,) * 3, clients=(client(age=3600.0),)), None),
        Verdict.HUNG_DARK,
    ),
    "hung, LAN just went dark": (found(host((STUCK,) * 3), DEAD_BMC), Verdict.BOOTING),
    "hung, LAN back for a minute": (found(host((STUCK,) * 3), bmc(), lan_dark_at=NOW - 60), Verdict.BOOTING),
    "hung, a heal died at its reset a minute ago": (
        replace(found(host((STUCK,) * 3), bmc()), reset_unseen_at=NOW - 60),
        Verdict.BOOTING,
    ),
    "hung, a heal died at its reset an hour ago": (
        replace(found(host((STUCK,) * 3), bmc()), reset_unseen_at=NOW - 3600),
        Verdict.HUNG,
    ),
    "LAN dead, in-band fine": (found(host(), DEAD_BMC, ANSWER, **LONG_DARK), Verdict.LAN_ONLY_DEAD),
    "stuck modprobe": (found(no_device(clients=(MODPROBE,)), bmc()), Verdict.NO_DRIVER),
    "driver gave up": (found(host((), devices=(), interfaces=()), bmc()), Verdict.NO_DRIVER),
    "no driver, nobody waits": (found(no_device(), bmc()), Verdict.NO_IPMI),
    "unloaded by an earlier heal": (found(no_device(), bmc(), unloaded_boot="b00t"), Verdict.UNLOADED),
    "throttled by an earlier heal": (found(host(), bmc(), ANSWER, throttled_from=0), Verdict.UNLOADED),
    "no IPMI at all": (found(no_device(had_bmc=False), None), Verdict.NO_IPMI),
    "may be a flash tool": (
        found(host((STUCK,) * 3, clients=(client(state="D", known=False),)), bmc()),
        Verdict.UPDATING,
    ),
    "flash tool runs": (
        found(host((STUCK,) * 3, clients=(client(program="yafuflash", kind="flash"),)), bmc()),
        Verdict.UPDATING,
    ),
    "device not available": (found(host((STUCK,) * 3), bmc(device_available=False)), Verdict.UPDATING),
    "host unreachable": (found(None, bmc()), Verdict.UNREACHABLE),
}


@pytest.mark.parametrize("name", ROWS)
def test_row(name: str) -> None:
    findings, verdict = ROWS[name]
    assert diagnose(findings, WATCH, GUARD).verdict is verdict


def test_a_hang_is_proven_by_counters_and_not_by_a_probe() -> None:
    assert diagnose(found(host((STUCK,)), bmc()), WATCH, GUARD).proven_hang
    assert not diagnose(found(host(), bmc(), NO_ANSWER), WATCH, GUARD).proven_hang


def test_a_busy_host_says_what_is_seen() -> None:
    facts = host((BUSY,), kipmi=88.0, clients=tuple(client(i) for i in range(3)))
    sentence = diagnose(found(facts, bmc(), ANSWER), WATCH, GUARD).sentence
    assert "Busy, not hung" in sentence
    assert "kipmi at 88 %" in sentence


def test_booting_says_when_to_try_again() -> None:
    diagnosis = diagnose(found(host((STUCK,)), bmc(), lan_dark_at=NOW - 60), WATCH, GUARD)
    assert diagnosis.retry_at == NOW - 60 + GUARD.booting_seconds


@pytest.mark.parametrize(
    ("look", "memory", "lan"),
    [
        (bmc(), {}, " Its BMC answers over the LAN."),
        (DEAD_BMC, LONG_DARK, " Its BMC's LAN side is silent."),
        (None, {}, ""),
    ],
)
def test_a_host_that_cannot_be_looked_at_says_why_and_what_its_bmc_does(look, memory, lan) -> None:
    findings = replace(found(None, look, **memory), host_error="db01: SSH was refused. Check the key.")
    sentence = diagnose(findings, WATCH, GUARD).sentence
    assert sentence == f"The host could not be looked at: SSH was refused. Check the key.{lan}"


def test_no_probe_on_stuck_counters_or_among_many_clients() -> None:
    assert needs_probe(host(), WATCH)
    assert not needs_probe(host((STUCK,)), WATCH)
    assert not needs_probe(host(clients=tuple(client(i) for i in range(10))), WATCH)
    assert not needs_probe(host(ipmitool=False), WATCH)
    assert not needs_probe(no_device(), WATCH)


def test_clients_of_other_machines_do_not_count() -> None:
    elsewhere = tuple(client(i, inband=False) for i in range(20))
    assert needs_probe(host(clients=elsewhere), WATCH)


windows = st.builds(
    CounterWindow,
    seconds=st.floats(0.1, 60),
    completed=st.integers(0, 50),
    timeouts=st.integers(0, 2000),
    hosed=st.integers(0, 2),
)


@given(st.lists(windows, max_size=5))
def test_whatever_completes_is_not_stuck(some: list[CounterWindow]) -> None:
    if any(window.completed and window.seconds >= 9 for window in some) or not any(
        w.seconds >= 9 for w in some
    ):
        assert not stuck(tuple(some))


@given(st.lists(windows, max_size=4), st.floats(0, 400), st.booleans(), st.integers(0, 30))
def test_a_bmc_that_answers_in_band_is_never_called_hung(
    some: list[CounterWindow], kipmi: float, lan: bool, clients: int
) -> None:
    facts = host(tuple(some), kipmi=kipmi, clients=tuple(client(i) for i in range(clients)))
    if stuck(facts.interfaces[0].windows):
        return
    diagnosis = diagnose(found(facts, bmc() if lan else DEAD_BMC, ANSWER), WATCH, GUARD)
    assert diagnosis.inband is Inband.ANSWERS
    assert diagnosis.verdict not in (Verdict.HUNG, Verdict.HUNG_DARK)


def test_kipmi_alone_is_no_hang() -> None:
    facts = host((BUSY,) * 3, kipmi=100.0)
    assert facts.kipmi == (KipmiThread(40, "kipmi0", 100.0),)
    assert diagnose(found(facts, bmc()), WATCH, GUARD).verdict is Verdict.BUSY
