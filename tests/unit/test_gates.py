"""What a gate takes for proof, and everything that only looks like it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bmc_healer import gates
from bmc_healer.config.settings import LadderSettings, WatchSettings
from bmc_healer.gates import Baseline, ResetProof
from bmc_healer.host.facts import DeviceNode
from bmc_healer.outcome import LastLook, conclude
from tests.unit.made import BUSY, DEAD_BMC, STUCK, bmc, client, host, no_device

WATCH, LADDER = WatchSettings(), LadderSettings()
DARK = ResetProof(12.0, session_dead=False, back=True, steady=True)
BEFORE = Baseline("b00t", bmc().guid, "9.8", power_on=True)


def test_a_claim_without_darkness_is_no_in_band_reset() -> None:
    seen = ResetProof(None, session_dead=False, back=True, steady=True)
    assert not gates.in_band_reset(seen, 3, LADDER).passed


@pytest.mark.parametrize("answers", [0, 1, 2])
def test_one_good_answer_is_not_enough(answers: int) -> None:
    assert not gates.in_band_reset(DARK, answers, LADDER).passed
    assert gates.in_band_reset(DARK, 3, LADDER).passed


def test_a_dead_session_proves_a_reset_that_was_too_fast_to_see() -> None:
    seen = ResetProof(None, session_dead=True, back=True, steady=True)
    assert gates.out_of_band_reset(seen, bmc(), BEFORE).passed


OOB_FAULTS = {
    "acknowledged and ignored": (replace(DARK, dark_seconds=None), bmc(), "did not reset"),
    "never came back": (replace(DARK, back=False), DEAD_BMC, "has not come back"),
    "answers once": (replace(DARK, steady=False), bmc(), "several times"),
    "another BMC": (DARK, bmc(guid="0" * 31 + "1"), "another one"),
    "host powered off": (DARK, bmc(power_on=False), "powered off"),
}


@pytest.mark.parametrize("name", OOB_FAULTS)
def test_out_of_band_gate_says_no(name: str) -> None:
    proof, facts, words = OOB_FAULTS[name]
    result = gates.out_of_band_reset(proof, facts, BEFORE)
    assert not result.passed
    assert words in result.sentence


def test_another_firmware_is_a_warning_only() -> None:
    result = gates.out_of_band_reset(DARK, bmc(firmware="9.10"), BEFORE)
    assert result.passed
    assert "9.10" in result.warnings[0]


def test_a_queued_reset_is_told() -> None:
    seen = gates.out_of_band_reset(DARK, bmc(), BEFORE, queued_reset="seen")
    assert "was carried out as well" in seen.sentence
    unseen = gates.out_of_band_reset(DARK, bmc(), BEFORE, queued_reset="not seen")
    assert "was not seen" in unseen.sentence


def test_relief_is_idle_cpu_and_a_driver_that_is_gone() -> None:
    assert gates.relief(no_device(), WATCH, "unload").passed
    assert gates.relief(host(kipmi=3.0), WATCH, "throttle").passed
    assert not gates.relief(host(kipmi=100.0), WATCH, "throttle").passed
    assert not gates.relief(host((STUCK,), kipmi=3.0), WATCH, "unload").passed
    assert not gates.relief(None, WATCH, "unload").passed


HEALTH_FAULTS = {
    "host unreachable": (None, bmc(), 3, "cannot be looked at"),
    "no device": (no_device(), bmc(), 3, "no /dev/ipmi"),
    "stale mknod": (host(devices=(DeviceNode("/dev/ipmi0", owned=False),)), bmc(), 3, "no /dev/ipmi"),
    "answered twice": (host(), bmc(), 2, "2 of 3"),
    "counters stuck again": (host((STUCK,)), bmc(), 3, "stuck again"),
    "kipmi still spins": (host((BUSY,), kipmi=90.0), bmc(), 3, "90 %"),
    "modprobe in D": (
        host(clients=(client(program="modprobe", kind="module", state="D"),)),
        bmc(),
        3,
        "stuck in D",
    ),
    "LAN silent": (host(), DEAD_BMC, 3, "silent"),
    "no BMC configured": (host(), None, 3, "No BMC address"),
    "not done booting": (host(), bmc(device_available=False), 3, "not done booting"),
    "another BMC": (host(), bmc(guid="f" * 31 + "1"), 3, "another one"),
    "host rebooted": (host(boot_id="other"), bmc(), 3, "rebooted"),
    "host off": (host(), bmc(power_on=False), 3, "powered off"),
}


@pytest.mark.parametrize("name", HEALTH_FAULTS)
def test_the_last_gate_says_no(name: str) -> None:
    facts, lan, answers, words = HEALTH_FAULTS[name]
    result = gates.health(facts, lan, answers, BEFORE, watch=WATCH, ladder=LADDER)
    assert not result.passed
    assert words in result.sentence


def test_the_last_gate_says_yes_only_when_everything_is_there() -> None:
    assert gates.health(host(), bmc(), 3, BEFORE, watch=WATCH, ladder=LADDER).passed


DEAD_AND_IDLE = LastLook(kipmi_idle=True, unharmed=True, inband_dead=True, lan_dead=True)
PASSED = {"step": "gate_health", "verdict": "passed", "sentence": "All is well."}
PROVEN = {"step": "gate_out_of_band_reset", "verdict": "passed", "sentence": "It reset.", "proof": True}
FAILED = {"step": "gate_health", "verdict": "failed", "sentence": "No device."}
RELIEF = {"step": "gate_unload", "verdict": "passed", "sentence": "kipmi is gone."}

ENDINGS = {
    "proof and health": ([PROVEN, PASSED], DEAD_AND_IDLE, "healed", "oob"),
    "in-band": ([{**PROVEN, "step": "gate_in_band_reset"}, PASSED], DEAD_AND_IDLE, "healed", "inband"),
    "health without proof": ([RELIEF, PASSED], DEAD_AND_IDLE, "not_needed", ""),
    "claim without proof": ([{**PROVEN, "proof": False}, PASSED], DEAD_AND_IDLE, "not_needed", ""),
    "proof without health": ([PROVEN, FAILED], replace(DEAD_AND_IDLE, lan_dead=False), "escalated", ""),
    "proof, never back": ([PROVEN, FAILED], DEAD_AND_IDLE, "relieved", ""),
    "relief, both dead": ([RELIEF], DEAD_AND_IDLE, "relieved", ""),
    "relief, LAN alive": ([RELIEF], replace(DEAD_AND_IDLE, lan_dead=False), "escalated", ""),
    "relief, kipmi spins": ([RELIEF], replace(DEAD_AND_IDLE, kipmi_idle=False), "escalated", ""),
    "relief, host rebooted": ([RELIEF], replace(DEAD_AND_IDLE, unharmed=False), "escalated", ""),
    "nothing known": ([RELIEF], LastLook(None, None, None, None), "escalated", ""),
    "health, then worse": ([PROVEN, PASSED, FAILED], DEAD_AND_IDLE, "relieved", ""),
    "no step at all": ([], LastLook(None, None, None, None), "escalated", ""),
}


@pytest.mark.parametrize("name", ENDINGS)
def test_ending(name: str) -> None:
    steps, look, outcome, healed_by = ENDINGS[name]
    ending = conclude(steps, look)
    assert (ending.outcome, ending.healed_by) == (outcome, healed_by)
    assert ending.latch == (outcome == "escalated")
