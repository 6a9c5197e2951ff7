"""Guardrails: nothing that speaks against a heal lets one begin, and a refusal uses nothing up."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import strategies as st

from bmc_healer.config.settings import GuardrailSettings, Mode
from bmc_healer.guardrails import HOUR, Request, judge
from bmc_healer.plan import BRING_BACK
from bmc_healer.state.documents import Latch, Lock, MassOutage, PastHeal, Pause, StoppedCredential
from bmc_healer.state.views import FleetState, HostState
from bmc_healer.verbs.begin_heal import begin_heal
from tests.unit.clock import NOW
from tests.unit.properties.strategies import whatever
from tests.unit.verbs import locks, runtime

SETTINGS = GuardrailSettings()
NAMES = st.sampled_from(["db01", "db02", "db03", "db04"])
LABELS = st.sampled_from([(), ("rack=r1",), ("rack=r2",), ("env=prod", "rack=r1")])
past = st.floats(0, 100_000).map(lambda ago: NOW - ago)
numbered = st.integers(0, 10**6).map(str)

lock = st.builds(Lock, numbered, NAMES, numbered, st.just(""), st.none(), LABELS, st.just("me"), past)
others_lock = lock.filter(lambda one: one.host != "db01")
heal = st.builds(PastHeal, numbered, NAMES, LABELS, past)
own_heal = st.builds(PastHeal, numbered, st.just("db01"), LABELS, past)
pause = st.builds(
    Pause,
    st.sampled_from(["fleet", "host=db01", "host=db02", "rack=r1", "rack=r2"]),
    st.just("kim"),
    st.just("why"),
    past,
    st.none() | st.floats(-5000, 5000).map(lambda s: NOW + s),
)
outage = st.builds(
    MassOutage,
    st.sampled_from(["fleet", "rack=r1", "rack=r2"]),
    st.lists(NAMES, max_size=3).map(tuple),
    past,
    st.floats(-5000, 5000).map(lambda s: NOW + s),
)
stop = st.builds(StoppedCredential, st.sampled_from(["dell", "hp"]), st.just("refused"), past)
LATCH = Latch("i1", "escalated", NOW)


DANGERS = {
    "locks": lock,
    "heals": heal,
    "pauses": pause,
    "mass_outages": outage,
    "stopped": stop,
}


@st.composite
def fleets_with(draw):
    """One or two kinds of trouble: where everything forbids it, one rule more or less is not seen."""
    kinds = draw(st.sets(st.sampled_from(sorted(DANGERS)), max_size=2))
    return FleetState(
        **{kind: tuple(draw(st.lists(DANGERS[kind], min_size=1, max_size=3))) for kind in sorted(kinds)}
    )


fleets = fleets_with()
states = st.builds(
    HostState,
    st.just("db01"),
    heals=st.lists(own_heal, max_size=3).map(tuple),
    latch=st.sampled_from([None, None, None, LATCH]),
)
# Limits so low that a few heals reach them
limits = st.builds(
    replace,
    st.just(SETTINGS),
    heals_per_host_per_day=st.integers(1, 2),
    concurrent_fleet=st.integers(1, 2),
    heals_per_hour_fleet=st.sampled_from([1, 10]),
    cooldown_seconds=st.sampled_from([0.0, 3600.0]),
)
asked = st.builds(
    Request,
    host=st.just("db01"),
    label_keys=LABELS,
    bmc_address=st.just("10.1.0.5:623"),
    source=st.sampled_from(["sensor", "chat", "person"]),
    rungs=st.sampled_from([("inband", "unload", "oob"), ("oob",), ("inband",)]),
    clock_skew=st.sampled_from([0.0, 0.0, 0.0, 0.0, -29.0, 31.0, None]),
    force=st.booleans(),
    credential=st.sampled_from([None, "dell"]),
)
modes = st.sampled_from(list(Mode))


@pytest.mark.parametrize("kind", DANGERS)
@whatever(asked, fleets, states, limits, modes, st.data())
def test_nothing_more_in_the_state_lets_a_heal_begin(kind, request_, fleet, host, settings, mode, data):
    worse = replace(fleet, **{kind: (*getattr(fleet, kind), data.draw(DANGERS[kind]))})
    if judge(request_, fleet, host, settings, mode, NOW) is not None:
        assert judge(request_, worse, host, settings, mode, NOW) is not None


@whatever(asked, st.just(FleetState()) | fleets, states, limits, modes, own_heal)
def test_nothing_more_on_the_host_lets_a_heal_begin(request_, fleet, host, settings, mode, healed):
    if judge(request_, fleet, host, settings, mode, NOW) is not None:
        for worse in (replace(host, latch=LATCH), replace(host, heals=(*host.heals, healed))):
            assert judge(request_, fleet, worse, settings, mode, NOW) is not None


@whatever(asked, fleets, states)
def test_force_skips_the_cooldown_and_nothing_else(request_, fleet, host):
    forced = judge(replace(request_, force=True), fleet, host, SETTINGS, Mode.AUTO, NOW)
    plain = judge(replace(request_, force=False), fleet, host, SETTINGS, Mode.AUTO, NOW)
    if plain is None or plain.rule != "cooldown_seconds":
        assert forced == plain
    else:
        assert (
            forced is None
            or forced.rule in ("concurrent_fleet", "concurrent_label")
            or "per_hour" in forced.rule
        )


@whatever(asked, fleets, states, limits, others_lock, heal)
def test_bringing_a_host_back_uses_no_budget_up_and_waits_for_none(
    request_, fleet, host, settings, held, healed
):
    plain = judge(request_, fleet, host, settings, Mode.AUTO, NOW)
    more = replace(
        fleet,
        locks=(*fleet.locks, replace(held, resets=False)),
        heals=(*fleet.heals, replace(healed, resets=False)),
    )
    assert judge(request_, more, host, settings, Mode.AUTO, NOW) == plain
    back = replace(request_, rungs=BRING_BACK)
    own = replace(fleet, heals=(), locks=tuple(one for one in fleet.locks if one.host == "db01"))
    alone = judge(back, own, replace(host, heals=()), settings, Mode.AUTO, NOW)
    assert judge(back, fleet, host, settings, Mode.AUTO, NOW) == alone


@whatever(asked, fleets, states)
def test_what_may_begin_is_free_of_all_that_forbids_it(request_, fleet, host):
    """The rules once more, told from the safety page and not from the code."""
    if judge(request_, fleet, host, SETTINGS, Mode.AUTO, NOW) is not None:
        return
    targets = {"fleet", "host=db01", *request_.label_keys}
    assert request_.clock_skew is not None and abs(request_.clock_skew) <= 30
    assert not any(lock.host == "db01" for lock in fleet.locks) and host.latch is None
    assert not any(p.target in targets and (p.until is None or p.until > NOW) for p in fleet.pauses)
    for out in fleet.mass_outages:
        assert out.until <= NOW or not (out.label in targets or "db01" in out.hosts)
    assert len(fleet.locks) < SETTINGS.concurrent_fleet
    assert len({h.incident for h in fleet.heals if NOW - h.at < HOUR}) < SETTINGS.heals_per_hour_fleet
    assert request_.force or all(NOW - h.at >= SETTINGS.cooldown_seconds for h in host.heals)


@whatever(asked, fleets, states, modes)
def test_a_refusal_says_rule_value_and_what_to_do(request_, fleet, host, mode):
    refusal = judge(request_, fleet, host, SETTINGS, mode, NOW)
    if refusal is not None:
        assert refusal.rule and refusal.value and refusal.sentence and refusal.override
        assert refusal.outcome in ("refused", "proposed", "escalated")


def paused(rt):
    rt.state.pause("fleet", by="kim", reason="maintenance")


def latched(rt):
    rt.state.latch("db01", "i1", "escalated")


def out(rt):
    rt.state.declare_mass_outage("rack=r12", ["db01"], NOW + 3600)


def stopped(rt):
    rt.state.stop_credential("lab", "refused by two BMCs")


FORBIDS = (paused, latched, out, stopped)


@whatever(st.sets(st.sampled_from(FORBIDS), min_size=1), st.booleans(), st.sampled_from(["sensor", "person"]))
def test_a_refusal_uses_no_incident_up_and_leaves_no_lock(forbids, force, source):
    rt = runtime()
    for forbid in forbids:
        forbid(rt)
    told = begin_heal(rt, {"host": "db01", "key": "db01:b00t:1", "source": source, "force": force})
    assert told["outcome"] == "refused"
    assert rt.state.acknowledged("db01") == frozenset(), "the sensor tells it again"
    assert locks(rt) == () and rt.state.host("db01").heals == () and rt.state.fleet().heals == ()
    assert rt.state.incidents(10) == []


others = st.lists(others_lock, max_size=5, unique_by=lambda one: one.incident)


@whatever(others, limits)
def test_no_more_at_once_and_no_more_an_hour_than_allowed(held, settings):
    plain = Request("db01", (), None, "sensor", ("oob",), 0.0)
    refusal = judge(plain, FleetState(locks=tuple(held)), HostState("db01"), settings, Mode.AUTO, NOW)
    full = len(held) >= min(settings.concurrent_fleet, settings.heals_per_hour_fleet)
    assert (refusal is not None) == full
