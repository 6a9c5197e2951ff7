"""Each rule alone, and the order in which they object."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bmc_healer.config.settings import GuardrailSettings, Mode
from bmc_healer.guardrails import DAY, Request, judge
from bmc_healer.plan import BRING_BACK
from bmc_healer.state.documents import Latch, Lock, MassOutage, PastHeal, Pause, StoppedCredential
from bmc_healer.state.views import FleetState, HostState
from bmc_healer.targets import typed

NOW = 1_795_000_000.0
RACK = "rack=r12"
SETTINGS = GuardrailSettings()
REQUEST = Request(
    "db01", (RACK,), "10.1.0.1:623", "sensor", ("inband", "unload", "oob"), clock_skew=0.4, credential="dell"
)


def ask(request=REQUEST, fleet=None, host=None, settings=SETTINGS, mode=Mode.AUTO):
    return judge(request, fleet or FleetState(), host or HostState("db01"), settings, mode, NOW)


def lock(host, *labels, bmc=None, at=NOW - 60):
    return Lock(host, host, f"{host}-20261121-104512", "e1", bmc, labels, "st2a:7", at)


def heal(host, age, *labels):
    return PastHeal(f"{host}-{age}", host, labels, NOW - age)


def healed(*ages):
    return HostState("db01", heals=tuple(heal("db01", age, RACK) for age in ages))


def test_go():
    assert ask() is None


@pytest.mark.parametrize(
    ("fleet", "words"),
    [
        (FleetState(locks=(lock("db01"),)), "It is being healed since 2026-11-"),
        (
            FleetState(locks=(lock("old", bmc="10.1.0.1:623"),)),
            "The BMC 10.1.0.1:623 (as that of old)",
        ),
    ],
)
def test_somebody_heals_it(fleet, words):
    refusal = ask(fleet=fleet)
    assert refusal.rule == "lock" and words in refusal.sentence and refusal.retry_at > NOW


@pytest.mark.parametrize("skew", [None, 30.5, -31.0, float("inf"), float("nan")])
def test_clocks(skew):
    refusal = ask(replace(REQUEST, clock_skew=skew))
    assert (refusal.rule, refusal.value) == ("clock_skew_seconds", "30")


@pytest.mark.parametrize("target", ["fleet", "host=db01", RACK])
@pytest.mark.parametrize("until", [None, NOW + 600])
def test_pause(target, until):
    fleet = FleetState(pauses=(Pause(target, "kim", "board swap", NOW - 5, until),))
    refusal = ask(replace(REQUEST, force=True), fleet)
    assert (refusal.rule, refusal.value, refusal.retry_at) == ("pause", target, until)
    assert "kim" in refusal.sentence and "board swap" in refusal.sentence
    assert refusal.override == f"bmc resume {typed(target)}"


@pytest.mark.parametrize(("target", "until"), [("host=db1", None), ("rack=r1", None), ("fleet", NOW - 1)])
def test_pauses_of_others_and_of_the_past(target, until):
    assert ask(fleet=FleetState(pauses=(Pause(target, "kim", "", NOW - 5, until),))) is None


def test_latch():
    host = HostState("db01", latch=Latch("db01-x", "the BMC does not return", NOW - 999))
    refusal = ask(replace(REQUEST, force=True, source="chat"), host=host)
    assert refusal.rule == "latch" and "the BMC does not return" in refusal.sentence
    assert refusal.override.endswith("bmc resume db01")


@pytest.mark.parametrize("outage", [("fleet", ("x",)), (RACK, ("x",)), ("rack=r99", ("db01", "x"))])
def test_mass_outage(outage):
    fleet = FleetState(mass_outages=(MassOutage(*outage, NOW - 30, NOW + 270),))
    refusal = ask(replace(REQUEST, force=True, source="person"), fleet)
    assert (refusal.rule, refusal.retry_at) == ("mass_outage", NOW + 270)


def test_mass_outage_that_is_over_or_elsewhere():
    over = MassOutage("fleet", ("db01",), NOW - 400, NOW - 1)
    elsewhere = MassOutage("rack=r99", ("db99",), NOW - 30, NOW + 270)
    assert ask(fleet=FleetState(mass_outages=(over, elsewhere))) is None


def test_stopped_credential_only_where_it_would_be_used():
    fleet = FleetState(stopped=(StoppedCredential("dell", "refused by two BMCs", NOW - 9),))
    assert ask(fleet=fleet).rule == "credential"
    assert ask(replace(REQUEST, rungs=("unload",)), fleet) is None
    assert ask(replace(REQUEST, credential="hpe"), fleet) is None
    assert ask(replace(REQUEST, credential=None), fleet) is None


@pytest.mark.parametrize(
    ("age", "force", "refused"), [(3599, False, True), (3600, False, False), (5, True, False)]
)
def test_cooldown_and_force(age, force, refused):
    refusal = ask(replace(REQUEST, force=force), host=healed(age))
    assert bool(refusal) == refused
    if refusal:
        assert refusal.rule == "cooldown_seconds" and "with force" in refusal.override
        assert refusal.retry_at == NOW - age + 3600


def test_too_many_heals_a_day_escalate_and_force_changes_nothing():
    host = healed(4000, 30000, int(DAY) - 1)
    refusal = ask(replace(REQUEST, force=True, source="chat"), host=host)
    assert (refusal.rule, refusal.value, refusal.outcome) == ("heals_per_host_per_day", "3", "escalated")
    assert refusal.retry_at == NOW + 1, "when the oldest of the three is a day old"
    assert ask(host=healed(4000, 30000, int(DAY))) is None


def test_at_once_in_the_fleet():
    fleet = FleetState(locks=tuple(lock(f"db{n}", f"rack=r{n}") for n in (20, 21, 22)))
    refusal = ask(fleet=fleet)
    assert (refusal.rule, refusal.value) == ("concurrent_fleet", "3")
    assert "db20, db21, db22" in refusal.sentence and refusal.retry_at > NOW
    assert ask(fleet=replace(fleet, locks=fleet.locks[:2])) is None


def test_at_once_in_a_label():
    assert ask(fleet=FleetState(locks=(lock("db02", RACK),))).rule == "concurrent_label"
    assert ask(fleet=FleetState(locks=(lock("db02", "rack=r1"),))) is None


def test_per_hour_counts_heals_and_those_under_way_once_each():
    heals = tuple(heal(f"h{age}", age, f"rack={age}") for age in range(100, 1000, 100))
    assert len(heals) == 9
    running = replace(lock("h100", "rack=100"), incident="h100-100")
    assert ask(fleet=FleetState(heals=heals, locks=(running,))) is None, "h100 is one heal, not two"
    refusal = ask(fleet=FleetState(heals=heals, locks=(lock("h9", "rack=9"),)))
    assert refusal.rule == "heals_per_hour_fleet"
    assert refusal.retry_at == NOW - 900 + 3600
    assert ask(fleet=FleetState(heals=(*heals, heal("old", 3600)))) is None
    rack = tuple(heal(f"h{age}", age, RACK) for age in (100, 200, 300))
    assert ask(fleet=FleetState(heals=rack)).rule == "heals_per_hour_label"


BACK = replace(REQUEST, rungs=BRING_BACK)
OWN_BUDGETS = {"heals_per_host_per_day", "cooldown_seconds"}


@pytest.mark.parametrize(
    ("fleet", "rule"),
    [
        (FleetState(locks=(lock("db02", RACK),)), "concurrent_label"),
        (FleetState(locks=tuple(lock(f"db{n}", f"rack=r{n}") for n in (20, 21, 22))), "concurrent_fleet"),
        (
            FleetState(heals=tuple(heal(f"h{age}", age, RACK) for age in (100, 200, 300))),
            "heals_per_hour_label",
        ),
        (FleetState(heals=tuple(heal(f"h{age}", age, "x=y") for age in range(10))), "heals_per_hour_fleet"),
    ],
)
def test_a_heal_that_only_brings_back_is_held_off_by_no_budget_and_uses_none_up(fleet, rule):
    assert ask(fleet=fleet).rule == rule
    assert ask(BACK, fleet) is None
    locks = tuple(replace(one, resets=False) for one in fleet.locks)
    heals = tuple(replace(one, resets=False) for one in fleet.heals)
    assert ask(fleet=replace(fleet, locks=locks, heals=heals)) is None


def test_bringing_back_neither_waits_for_the_hosts_own_heals_nor_counts_as_one():
    host = healed(5, 600, 4000)
    assert ask(host=host).rule in OWN_BUDGETS
    assert ask(BACK, host=host) is None, "it does not fail again: it is back"
    assert ask(host=replace(host, heals=tuple(replace(one, resets=False) for one in host.heals))) is None


@pytest.mark.parametrize(
    ("mode", "source", "outcome"),
    [
        (Mode.OBSERVE, "sensor", "proposed"),
        (Mode.OBSERVE, "chat", "proposed"),
        (Mode.PROPOSE, "sensor", "proposed"),
        (Mode.PROPOSE, "chat", None),
        (Mode.PROPOSE, "person", None),
        (Mode.AUTO, "sensor", None),
    ],
)
def test_mode(mode, source, outcome):
    refusal = ask(replace(REQUEST, source=source, force=True), mode=mode)
    assert (refusal.outcome if refusal else None) == outcome
    if refusal:
        assert (refusal.rule, refusal.value) == ("mode", mode.value)


PROPOSAL = {"id": "db01-p", "host": "db01", "outcome": "proposed", "ended_at": NOW - 1700}


@pytest.mark.parametrize(
    ("proposal", "source", "good"),
    [
        (PROPOSAL, "chat", True),
        (PROPOSAL, "sensor", False),
        ({**PROPOSAL, "ended_at": NOW - 1801}, "chat", False),
        ({**PROPOSAL, "ended_at": None}, "chat", False),
        ({**PROPOSAL, "host": "db02"}, "chat", False),
        ({**PROPOSAL, "outcome": "healed"}, "chat", False),
        (None, "chat", False),
    ],
)
def test_approval(proposal, source, good):
    refusal = ask(replace(REQUEST, source=source, approves="db01-p", proposal=proposal), mode=Mode.PROPOSE)
    assert (refusal is None) == good
    if refusal:
        assert refusal.rule == "proposal_seconds" and refusal.outcome == "refused"


RULES_IN_ORDER = {
    "clock_skew_seconds": {"request": {"clock_skew": None}},
    "lock": {"fleet": {"locks": (lock("db01"),)}},
    "latch": {"host": {"latch": Latch("i", "s", NOW)}},
    "pause": {"fleet": {"pauses": (Pause("fleet", "kim", "", NOW),)}},
    "mass_outage": {"fleet": {"mass_outages": (MassOutage("fleet", (), NOW, NOW + 1),)}},
    "credential": {"fleet": {"stopped": (StoppedCredential("dell", "", NOW),)}},
    "heals_per_host_per_day": {"settings": {"heals_per_host_per_day": 0}},
    "cooldown_seconds": {"host": {"heals": (heal("db01", 1),)}},
    "concurrent_fleet": {"settings": {"concurrent_fleet": 0}},
    "heals_per_hour_fleet": {"settings": {"heals_per_hour_fleet": 0}},
    "mode": {"mode": Mode.OBSERVE},
}


@given(st.sets(st.sampled_from(list(RULES_IN_ORDER)), min_size=1), st.booleans())
def test_any_broken_rule_stops_it_and_the_first_in_order_speaks(broken, force):
    parts = {"request": {"force": force}, "fleet": {}, "host": {}, "settings": {}, "mode": Mode.AUTO}
    for rule in broken:
        for part, change in RULES_IN_ORDER[rule].items():
            parts[part] = change if part == "mode" else {**parts[part], **change}
    refusal = ask(
        replace(REQUEST, **parts["request"]),
        FleetState(**parts["fleet"]),
        HostState("db01", **parts["host"]),
        replace(SETTINGS, **parts["settings"]),
        parts["mode"],
    )
    expected = [
        rule for rule in RULES_IN_ORDER if rule in broken and not (force and rule == "cooldown_seconds")
    ]
    assert (refusal.rule if refusal else None) == (expected[0] if expected else None)
    if refusal:
        assert refusal.sentence and refusal.override and (refusal.retry_at or NOW + 1) > NOW


@pytest.mark.parametrize("rule", RULES_IN_ORDER)
def test_bringing_back_obeys_every_rule_that_is_no_budget(rule):
    parts = RULES_IN_ORDER[rule]
    refusal = ask(
        replace(BACK, **parts.get("request", {})),
        FleetState(**parts.get("fleet", {})),
        HostState("db01", **parts.get("host", {})),
        replace(SETTINGS, **parts.get("settings", {})),
        parts.get("mode", Mode.AUTO),
    )
    budget = rule in OWN_BUDGETS | {"concurrent_fleet", "heals_per_hour_fleet"}
    # Without the out-of-band rung no login is tried
    assert (refusal.rule if refusal else None) == (None if budget or rule == "credential" else rule)


numbers = st.floats(0, 2 * DAY)


@given(st.lists(numbers, max_size=6), st.booleans(), st.integers(0, 4), st.floats(0, 2 * DAY))
def test_what_is_to_be_tried_again_later_passes_that_rule_later(ages, force, limit, cooldown):
    settings = replace(SETTINGS, heals_per_host_per_day=limit, cooldown_seconds=cooldown)
    host = HostState("db01", heals=tuple(PastHeal(str(n), "db01", (), NOW - a) for n, a in enumerate(ages)))
    request = replace(REQUEST, force=force)
    refusal = ask(request, host=host, settings=settings)
    if refusal and refusal.retry_at:
        later = judge(request, FleetState(), host, settings, Mode.AUTO, refusal.retry_at + 0.001)
        assert later is None or later.rule != refusal.rule
