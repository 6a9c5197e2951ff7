"""Which rungs a diagnosis leads to, and why a rung is left out."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any
from uuid import UUID

import pytest

from bmc_healer.bmc.facts import Login
from bmc_healer.bmc.identity import Identity
from bmc_healer.config.settings import GuardrailSettings, LadderSettings, WatchSettings
from bmc_healer.diagnosis import Findings, diagnose
from bmc_healer.host.facts import Holder, Interface
from bmc_healer.plan import BRING_BACK, Plan, Request, make_plan
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
)
from tests.unit.test_diagnosis import LONG_DARK, MODPROBE, ROWS

PROVEN, UNPROVEN = (
    Identity(True, "guid", "GUID = UUID."),
    Identity(False, "", "The GUID is another machine's."),
)
SPINS = {"windows": (STUCK,) * 3, "kipmi": 100.0}
CLIENTS = (client(),)


def plan(
    findings: Findings, identity: Identity = PROVEN, ladder: LadderSettings | None = None, **asked: Any
) -> Plan:
    guard = GuardrailSettings()
    diagnosis = diagnose(findings, WatchSettings(), guard)
    return make_plan(diagnosis, findings, identity, Request(**asked), guard, ladder or LadderSettings())


def test_the_classic_case_walks_the_whole_ladder() -> None:
    found_now = found(host(**SPINS, clients=CLIENTS), bmc())
    assert plan(found_now).steps == ("reap", "inband", "unload", "throttle", "oob", "load")


@pytest.mark.parametrize(
    ("asked", "steps"),
    [
        (("oob",), ("reap", "oob", "load")),
        (("unload",), ("reap", "unload", "throttle")),
        (("unload", "oob"), ("reap", "unload", "throttle", "oob", "load")),
    ],
)
def test_only_the_rungs_asked_for(asked: tuple[str, ...], steps: tuple[str, ...]) -> None:
    assert plan(found(host(**SPINS, clients=CLIENTS), bmc()), rungs=asked).steps == steps


NO_RESET = {
    "healthy": "not_needed",
    "honest polling": "not_needed",
    "slow BMC, 3 s a reply": "not_needed",
    "no driver, nobody waits": "not_needed",
    "no IPMI at all": "not_needed",
    "hung, LAN just went dark": "refused",
    "hung, LAN back for a minute": "refused",
    "flash tool runs": "refused",
    "device not available": "refused",
    "host unreachable": "refused",
    "LAN dead, in-band fine": "proposed",
}


@pytest.mark.parametrize("name", NO_RESET)
def test_nothing_is_reset(name: str) -> None:
    made = plan(ROWS[name][0])
    assert (made.steps, made.outcome) == ((), NO_RESET[name])
    assert made.sentence


@pytest.mark.parametrize("name", ["flash tool runs", "device not available", "hung, LAN just went dark"])
def test_force_does_not_get_around_danger(name: str) -> None:
    assert plan(ROWS[name][0], force=True).steps == ()


def test_force_resets_a_bmc_without_symptoms() -> None:
    assert plan(found(host(), bmc(), ANSWER), force=True).steps == ("inband", "oob", "load")


def test_an_unproven_bmc_is_proposed_and_nothing_is_done() -> None:
    made = plan(found(host(**SPINS), bmc()), UNPROVEN)
    assert (made.steps, made.outcome) == ((), "proposed")
    assert "another machine" in made.sentence


UNKNOWABLE = {
    "ipmi_watchdog": (host(**SPINS, watchdog_module=True), bmc()),
    "BMC watchdog runs": (host(**SPINS), bmc(watchdog_running=True)),
    "watchdog unknown": (host(**SPINS), bmc(watchdog_running=None)),
    "foreign holder": (host(**SPINS, holders=(Holder(7, "racadm", "/dev/ipmi0"),)), bmc()),
}


@pytest.mark.parametrize("name", UNKNOWABLE)
def test_where_nothing_may_be_unloaded_the_in_band_reset_is_skipped_and_kipmi_throttled(name: str) -> None:
    made = plan(found(*UNKNOWABLE[name]))
    assert made.steps == ("throttle", "oob", "load")
    assert set(made.left_out) == {"inband", "unload"}


def test_a_hung_client_of_ours_to_reap_is_no_foreign_holder() -> None:
    facts = host(**SPINS, clients=CLIENTS, holders=(Holder(CLIENTS[0].pid, "ipmitool", "/dev/ipmi0"),))
    assert "unload" in plan(found(facts, bmc())).steps


def two(first: Any, second: Any, **changes: Any) -> Any:
    """A host with two interfaces, and the windows of each."""
    interfaces = (Interface("ipmi0", "kcs,i/o,0xca2", first), Interface("ipmi1", "kcs,i/o,0xcaa", second))
    return host(kipmi=100.0, interfaces=interfaces, clients=CLIENTS, **changes)


@pytest.mark.parametrize("asked", [{}, {"force": True}])
def test_of_two_interfaces_one_hangs_and_a_person_decides(asked: dict[str, Any]) -> None:
    for facts, hangs in ((two((BUSY,), (STUCK,) * 3), "ipmi1"), (two((STUCK,) * 3, (QUIET,)), "ipmi0")):
        made = plan(found(facts, bmc()), **asked)
        assert (made.steps, made.outcome, made.approvable) == ((), "proposed", True)
        assert f"{hangs} hangs" in made.sentence
        assert plan(found(facts, bmc()), approved="hung").steps[-2:] == ("oob", "load")
        assert plan(found(facts, bmc()), approved="lan_only_dead").outcome == "proposed"


def test_of_two_interfaces_the_first_hangs_and_is_known_to_be_the_bmc_s() -> None:
    known = {"bmc_guid": bmc().guid}
    made = plan(found(two((STUCK,) * 3, (QUIET,)), bmc(), **known))
    assert made.steps == ("reap", "inband", "unload", "throttle", "oob", "load")
    made = plan(found(two((STUCK,) * 3, (BUSY,)), bmc(), **known))
    assert made.steps == ("reap", "throttle", "oob", "load"), "the other one is in use: nothing is unloaded"
    assert "ipmi1" in made.left_out["unload"]
    other = {"bmc_guid": "0" * 31 + "1"}
    assert plan(found(two((STUCK,) * 3, (QUIET,)), bmc(), **other)).outcome == "proposed"
    assert plan(found(two((QUIET,), (STUCK,) * 3), bmc(), **known)).outcome == "proposed"
    moved = {**known, "bmc_guid_machine": f"uuid={UUID(int=7)}"}
    assert plan(found(two((STUCK,) * 3, (QUIET,)), bmc(), **moved)).outcome == "proposed"


def test_of_two_interfaces_the_first_does_not_answer_the_probe() -> None:
    facts = two((QUIET,), (BUSY,))
    assert plan(found(facts, bmc(), NO_ANSWER)).outcome == "proposed"
    assert "throttle" in plan(found(facts, bmc(), NO_ANSWER, bmc_guid=bmc().guid)).steps


def test_two_interfaces_that_both_hang_are_one_bmc() -> None:
    assert plan(found(two((STUCK,) * 3, (STUCK,) * 3), bmc())).steps[-2:] == ("oob", "load")


def test_both_sides_dead_is_relief_only() -> None:
    made = plan(found(host(**SPINS), DEAD_BMC, **LONG_DARK))
    assert made.steps == ("throttle",)
    assert "oob" in made.left_out


def test_a_refused_login_leaves_relief() -> None:
    made = plan(found(host(**SPINS), bmc(login=Login.REFUSED, watchdog_running=None)))
    assert "oob" not in made.steps
    assert "locks accounts" in made.left_out["oob"] or "lock accounts" in made.left_out["oob"]


@pytest.mark.parametrize(
    ("facts", "word"),
    [
        (host(**SPINS, ipmitool=False), "not installed"),
        (host(**SPINS, privileged=False), "sudo"),
        (host(**SPINS, builtin=frozenset({"ipmi_si"}), modules={}), "built in"),
    ],
)
def test_why_no_in_band_reset(facts: Any, word: str) -> None:
    assert word in plan(found(facts, bmc())).left_out["inband"]


def test_an_in_band_reset_that_the_kernel_would_drop_is_not_sent() -> None:
    made = plan(found(host(**SPINS, kernel="7.2.13+deb14-amd64"), bmc()))
    assert made.steps == ("unload", "throttle", "oob", "load")
    assert "drops what is sent" in made.left_out["inband"]


def test_in_band_can_be_switched_off_for_proven_hangs() -> None:
    made = plan(found(host(**SPINS), bmc()), ladder=LadderSettings(inband_when_stuck="skip"))
    assert "inband" not in made.steps


def test_one_in_band_reset_per_boot_on_kernels_that_may_lock_up() -> None:
    again = found(host(**SPINS), bmc(), inband_reset_boot="b00t")
    assert "inband" in plan(again).left_out
    other_boot = found(host(**SPINS), bmc(), inband_reset_boot="earlier")
    assert "inband" in plan(other_boot).steps


def test_a_queued_in_band_reset_is_not_doubled() -> None:
    queued = replace(found(host(**SPINS), bmc()), queued_reset=True)
    made = plan(queued)
    assert "queued" in made.left_out["inband"]
    assert made.steps == ("unload", "throttle", "oob", "load")


def test_a_stuck_modprobe_is_freed_from_outside() -> None:
    assert plan(found(no_device(clients=(MODPROBE,)), bmc())).steps == ("oob", "load")


def test_a_driver_that_gave_up_is_loaded_again_before_anything_is_reset() -> None:
    made = plan(ROWS["driver gave up"][0])
    assert made.steps == ("load", "oob", "load")


@pytest.mark.parametrize("seen", [{"lan_dark_at": NOW - 60}, {}], ids=["seen dark", "a heal died at it"])
def test_a_relieved_host_whose_bmc_boots_is_not_reset(seen: dict[str, Any]) -> None:
    """A driver that was unloaded tells nothing of a BMC that comes up: force waits, the rest only loads."""
    booting = found(no_device(), bmc(), unloaded_boot="b00t", **seen)
    if not seen:
        booting = replace(booting, reset_unseen_at=NOW - 60)
    assert plan(booting).steps == ("load",)
    forced = plan(booting, force=True)
    assert (forced.steps, forced.outcome, forced.retry_at) == ((), "refused", NOW + 540)
    assert plan(booting, rungs=BRING_BACK).steps == ("load",)
    assert plan(found(no_device(), bmc(), unloaded_boot="b00t")).steps == ("load", "oob", "load")


def test_a_lan_side_that_never_answered_is_switched_off_and_not_dead() -> None:
    dead = ROWS["LAN dead, in-band fine"][0]
    guard = GuardrailSettings(oob_dead_resets=True)
    for alive_at, steps in ((None, ()), (NOW - 7200, ("inband",))):
        seen = replace(dead, memory=replace(dead.memory, lan_alive_at=alive_at))
        made = make_plan(
            diagnose(seen, WatchSettings(), guard), seen, PROVEN, Request(), guard, LadderSettings()
        )
        assert made.steps == steps


def test_what_was_approved_is_what_was_seen_then() -> None:
    """The in-band side of a hang that was proposed is back, and somebody pulls the LAN's cable."""
    dead = ROWS["LAN dead, in-band fine"][0]
    assert plan(dead, approved="lan_only_dead").steps == ("inband",)
    assert plan(dead, approved="hung").outcome == "proposed"


def test_no_in_band_reset_where_nobody_can_tell_whether_firmware_is_written() -> None:
    soft = replace(NO_ANSWER, seconds=28.3, given_up=True)
    no_session = bmc(login=Login.FAILED, device_available=None, error="no free session")
    for force in (False, True):
        made = plan(found(host((BUSY,)), no_session, soft), force=force)
        assert not {"inband", "oob"} & set(made.steps)
        assert "under update" in made.left_out["inband"]
    assert "inband" in plan(found(host((BUSY,)), bmc(), soft)).steps


@pytest.mark.parametrize("name", ["unloaded by an earlier heal", "throttled by an earlier heal"])
def test_a_relieved_host_is_brought_back_without_a_reset(name: str) -> None:
    assert plan(ROWS[name][0], rungs=BRING_BACK).steps == ("load",)


def test_bringing_back_never_resets() -> None:
    for findings, _ in ROWS.values():
        assert set(plan(findings, rungs=BRING_BACK).steps) <= {"load"}


def test_an_unreachable_host_is_reset_only_on_a_recent_proof_or_by_force() -> None:
    assert plan(found(None, bmc(), hang_proven_at=NOW - 600)).steps == ("oob", "load")
    assert plan(found(None, bmc(), hang_proven_at=NOW - 7200)).outcome == "refused"
    assert plan(found(None, bmc()), force=True).steps == ("oob", "load")


def test_every_row_is_planned_whatever_is_asked() -> None:
    """No combination raises, every empty plan says how it ends, and `load` never comes without a way back."""
    rungs = [(), ("inband",), ("unload",), ("oob",), ("inband", "unload", "oob"), BRING_BACK]
    for (findings, _), asked, force, identity in product(
        ROWS.values(), rungs, (False, True), (PROVEN, UNPROVEN)
    ):
        made = plan(findings, identity, rungs=asked, force=force)
        assert bool(made.steps) != bool(made.outcome)
        assert made.sentence
        if not identity.proven and findings.bmc is not None and findings.bmc.alive and findings.host is None:
            assert made.steps == ()


def test_a_busy_host_is_left_alone_even_at_full_speed() -> None:
    busy = found(replace(host((BUSY,) * 3, kipmi=100.0)), bmc(), ANSWER)
    assert plan(busy).steps == ()


def test_another_machine_s_watchdog_lets_no_driver_be_unloaded() -> None:
    """The BMC behind the address is not proven to be the host's: that its watchdog is off says nothing."""
    made = plan(found(host(**SPINS), bmc()), UNPROVEN, rungs=("inband", "unload"))
    assert "unload" not in made.steps and "watchdog" in made.left_out["unload"]
    assert "throttle" in made.steps


def test_a_throttle_that_is_left_on_a_well_host_is_undone_and_nothing_is_reset() -> None:
    made = plan(found(host((BUSY,)), bmc(), ANSWER, throttled_from=0))
    assert made.steps == ("load",)
