"""SAFETY 1, 2, 8, 9 as properties of diagnosis, plan, gates, ladder and outcome, whatever was found."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import strategies as st

from bmc_healer import gates, ladder
from bmc_healer.bmc.facts import Login
from bmc_healer.bmc.identity import Identity, same_machine
from bmc_healer.config.settings import GuardrailSettings, LadderSettings, WatchSettings
from bmc_healer.diagnosis import Inband, diagnose, stuck
from bmc_healer.gates import Baseline, ResetProof
from bmc_healer.outcome import LastLook, conclude
from bmc_healer.plan import RUNGS, make_plan
from tests.unit.made import BUSY, NOW, QUIET, bmc, client, host
from tests.unit.properties.strategies import bmcs, findings, hosts, identities, requests, whatever

WATCH, GUARD, LADDER = WatchSettings(), GuardrailSettings(), LadderSettings()
RESETS = {"inband", "oob"}
STRONG = {"inband", "unload", "oob"}  # throttle and load reset nothing and take nothing away
guards = st.sampled_from([GUARD, replace(GUARD, oob_dead_resets=True)])
ladders = st.sampled_from([LADDER, replace(LADDER, inband_when_stuck="skip")])


def plan(found, identity, request, guard=GUARD, settings=LADDER):
    return make_plan(diagnose(found, WATCH, guard), found, identity, request, guard, settings)


anything = (findings, identities, requests, guards, ladders)


@whatever(*anything)
def test_a_plan_keeps_to_the_ladder_and_to_what_was_asked(found, identity, request, guard, settings):
    made = plan(found, identity, request, guard, settings)
    assert set(made.steps) <= set(ladder.RUNG_TASKS)
    assert set(made.steps) & set(RUNGS) <= set(request.rungs)
    assert bool(made.steps) != bool(made.outcome), "either something to do, or an end with a reason"
    assert made.sentence.strip()
    order = [step for step in made.steps if step != "load"]
    assert order == [step for step in ("reap", "inband", "unload", "throttle", "oob") if step in order]
    assert "oob" not in made.steps or made.steps[-1] == "load", "what was unloaded is brought back"


@whatever(*anything, hosts(), st.sampled_from([BUSY, replace(BUSY, timeouts=0)]))
def test_no_symptom_and_no_force_no_reset(found, identity, request, guard, settings, facts, window):
    """In-band answers and the LAN is no way dead: whatever else is odd, there is nothing to reset."""
    well = host((window,), kipmi=facts.kipmi_percent)
    facts = replace(
        facts, interfaces=well.interfaces, modules=well.modules, devices=well.devices, kipmi=well.kipmi
    )
    alive = found.bmc and replace(found.bmc, alive=True)
    found = replace(found, host=facts, bmc=alive, memory=replace(found.memory, unloaded_boot=""))
    request = replace(request, force=False)
    assert not set(plan(found, identity, request, guard, settings).steps) & RESETS


FLASH_TOOLS = [client(9, kind="flash"), client(9, state="D", known=False)]  # the second one may be


@whatever(*anything, st.sampled_from([None, *FLASH_TOOLS]))
def test_firmware_under_update_is_never_touched_not_even_by_force(
    found, identity, request, guard, settings, seen_on_host
):
    if seen_on_host or found.bmc is None:
        facts = found.host or host()
        tool = seen_on_host or FLASH_TOOLS[0]
        found = replace(found, host=replace(facts, clients=(*facts.clients, tool)))
    else:
        found = replace(found, bmc=replace(found.bmc, device_available=False))
    assert plan(found, identity, request, guard, settings).steps == ()


@whatever(*anything, bmcs, st.booleans())
def test_a_bmc_that_boots_is_not_reset(found, identity, request, guard, settings, lan, seen):
    """Its LAN is back since a minute and in-band is silent still: that is a BMC that comes up.

    Or nobody knows, since a heal died at its reset a minute ago.
    """
    found = replace(found, bmc=replace(lan, alive=True))
    if seen:
        found = replace(found, memory=replace(found.memory, lan_dark_at=NOW - 60))
    else:
        found = replace(found, reset_unseen_at=NOW - 60)
    if diagnose(found, WATCH, guard).inband is not Inband.ANSWERS:
        assert not set(plan(found, identity, request, guard, settings).steps) & RESETS


@whatever(*anything)
def test_out_of_band_only_to_a_proven_living_bmc_that_lets_us_in(found, identity, request, guard, settings):
    if "oob" in plan(found, identity, request, guard, settings).steps:
        assert identity.proven
        assert found.bmc is not None and found.bmc.alive
        assert found.bmc.login is Login.OK and found.bmc.device_available


@whatever(*anything)
def test_no_unload_under_a_watchdog_or_one_that_cannot_be_known(found, identity, request, guard, settings):
    if "unload" in plan(found, identity, request, guard, settings).steps:
        assert found.host is not None and not found.host.watchdog_module
        assert found.bmc is not None and found.bmc.watchdog_running is False
        assert identity.proven, "the watchdog that was asked about may be another machine's"


@whatever(*anything)
def test_an_unreachable_host_without_proof_and_force_is_left_alone(found, identity, request, guard, settings):
    """A crashed or reinstalling host looks the same."""
    memory, asked = replace(found.memory, hang_proven_at=None), replace(request, force=False)
    assert plan(replace(found, host=None, memory=memory), identity, asked, guard, settings).steps == ()


@whatever(*anything)
def test_no_second_in_band_reset_on_top_of_a_queued_one(found, identity, request, guard, settings):
    made = plan(replace(found, queued_reset=True), identity, request, guard, settings)
    assert "inband" not in made.steps


def in_host(**changes):
    return lambda found: found.host and replace(found, host=replace(found.host, **changes))


def in_bmc(**changes):
    return lambda found: found.bmc and replace(found, bmc=replace(found.bmc, **changes))


def in_memory(**changes):
    return lambda found: replace(found, memory=replace(found.memory, **changes))


def beside(tool):
    return lambda found: (
        found.host and replace(found, host=replace(found.host, clients=(*found.host.clients, tool)))
    )


DANGERS = {
    "ipmi_watchdog": in_host(watchdog_module=True),
    "watchdog runs": in_bmc(watchdog_running=True),
    "watchdog unknown": in_bmc(watchdog_running=None),
    "device not available": in_bmc(device_available=False),
    "update unknown": lambda found: (
        found.bmc
        and found.bmc.device_available  # an update that is known is the greater danger
        and replace(found, bmc=replace(found.bmc, device_available=None))
    ),
    "login refused": in_bmc(login=Login.REFUSED),
    "privilege": in_bmc(login=Login.PRIVILEGE),
    "no session": in_bmc(login=Login.FAILED),
    "no root": in_host(privileged=False),
    "LAN was dark a minute ago": in_memory(lan_dark_at=NOW - 60, lan_dark_since=NOW - 90),
    "reset in this boot": in_memory(inband_reset_boot="b00t"),
    "queued reset": lambda found: replace(found, queued_reset=True),
    "flash tool": beside(FLASH_TOOLS[0]),
    "may be a flash tool": beside(FLASH_TOOLS[1]),
}


@pytest.mark.parametrize("danger", DANGERS)
@whatever(findings, requests, guards, ladders)
def test_more_evidence_of_danger_never_adds_a_rung(danger, found, request, guard, settings):
    identity = Identity(True, "guid", "It is.")  # doubt about it is another test
    worse = DANGERS[danger](found) or found  # without a host or a BMC there is nothing to be worse
    before = set(plan(found, identity, request, guard, settings).steps) & STRONG
    assert set(plan(worse, identity, request, guard, settings).steps) & STRONG <= before


@whatever(findings, requests, guards, ladders)
def test_doubt_about_the_identity_never_adds_a_rung(found, request, guard, settings):
    known = plan(found, Identity(True, "guid", "It is."), request, guard, settings)
    doubted = plan(found, Identity(False, "", "Perhaps."), request, guard, settings)
    assert set(doubted.steps) & STRONG <= set(known.steps) & STRONG


@whatever(findings, identities, requests, guards, ladders)
def test_fewer_rungs_asked_for_never_bring_a_stronger_one(found, identity, request, guard, settings):
    everything = plan(found, identity, replace(request, rungs=RUNGS), guard, settings)
    some = plan(found, identity, request, guard, settings)
    # An in-band reset that would stay queued is left out only because no unload follows: never the reverse.
    assert set(some.steps) & RESETS <= set(everything.steps) & RESETS


# Gates and outcome

proofs = st.builds(
    ResetProof,
    dark_seconds=st.none() | st.floats(1, 500),
    session_dead=st.booleans(),
    back=st.booleans(),
    steady=st.booleans(),
    inband_silence=st.booleans(),
)
baselines = st.builds(
    Baseline,
    boot_id=st.sampled_from(["", "b00t", "b00t", "another"]),
    guid=st.sampled_from([None, bmc().guid, bmc().guid, "f" * 31 + "0"]),
    firmware=st.sampled_from([None, "9.8"]),
    power_on=st.sampled_from([None, True, False]),
)


wells = st.builds(replace, st.just(host((QUIET,))), boot_id=st.sampled_from(["b00t", "b00t", "another"]))


@whatever(
    st.none() | hosts() | wells | wells, st.none() | bmcs | bmcs, st.sampled_from([0, 2, 3, 3, 5]), baselines
)
def test_health_is_both_sides_the_same_machine_and_nothing_left(facts, lan, answers, before):
    result = gates.health(facts, lan, answers, before, watch=WATCH, ladder=LADDER)
    if not result.passed:
        return
    assert facts is not None and answers >= LADDER.steady_answers
    assert not any(stuck(item.windows) for item in facts.interfaces)
    assert facts.kipmi_percent < WATCH.kipmi_cpu_low
    assert any(device.owned for device in facts.devices) and facts.driver_loaded
    assert lan is not None and lan.alive and lan.device_available is not False
    assert before.boot_id in ("", facts.boot_id)
    assert not before.guid or before.guid == lan.guid or same_machine(before.guid, lan.guid)
    assert not (before.power_on and not lan.power_on)


@whatever(proofs, bmcs, baselines, st.integers(0, 5))
def test_no_reset_gate_passes_without_the_proof_of_a_reset(proof, lan, before, answers):
    oob = gates.out_of_band_reset(proof, lan, before)
    inband = gates.in_band_reset(proof, answers, LADDER)
    if oob.passed:
        assert proof.happened and proof.back and proof.steady
    if inband.passed:
        assert proof.happened and proof.back and answers >= LADDER.steady_answers


steps = st.lists(
    st.builds(
        lambda step, verdict, proof: {"step": step, "verdict": verdict, "sentence": "S.", **proof},
        st.sampled_from([*ladder.RUNG_TASKS.values(), *sorted(set(ladder.GATE_TASKS.values())), "diagnose"]),
        st.sampled_from(["done", "failed", "stuck", "skipped", "stop", "well", "passed", "doubt"]),
        st.sampled_from([{}, {"proof": True}]),
    ),
    max_size=8,
)
looks = st.builds(LastLook, *[st.sampled_from([True, False, None])] * 4)


@whatever(steps, looks)
def test_healed_needs_an_own_deed_its_proof_and_the_last_gate(some, look):
    ending = conclude(some, look)
    cures = {"gate_in_band_reset": "inband", "gate_out_of_band_reset": "oob"}
    health = [step["verdict"] for step in some if step["step"] == "gate_health"]
    proven = [cures[step["step"]] for step in some if step["step"] in cures and step.get("proof")]
    assert (ending.outcome == "healed") == bool(health and health[-1] == "passed" and proven)
    assert ending.healed_by == (proven[-1] if ending.outcome == "healed" else "")
    if ending.outcome == "relieved":
        assert look.lan_dead and look.inband_dead and look.kipmi_idle and look.unharmed
    assert ending.latch == (ending.outcome == "escalated")


@whatever(st.data())
def test_every_walk_ends_and_does_no_rung_of_the_plan_twice(data):
    found, identity, request, guard, settings = (data.draw(part) for part in anything)
    made = plan(found, identity, request, guard, settings)
    position, done = ladder.first(made.steps), []
    while position.task != ladder.FINISH:
        rung = next((r for r, task in ladder.RUNG_TASKS.items() if task == position.task), None)
        if rung:
            done.append(position.index)
        possible = sorted(v for s, v in ladder.MOVES if s == (rung or position.task))
        position = ladder.after(
            rung or position.task, data.draw(st.sampled_from(possible)), made.steps, position.index
        )
    assert done == sorted(set(done))
