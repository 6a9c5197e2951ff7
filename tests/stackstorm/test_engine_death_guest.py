"""Heals of a guest that die in the middle of a rung: its next heal heals, and nothing is done twice."""

import signal

import pytest

from tests.guest.outside import assert_left_clean, assert_well, channels, hang
from tests.stackstorm.api import until
from tests.stackstorm.dying import BEGAN, ENGINE, HEALED, RUNNER, Patient, escalated
from tests.stackstorm.product import PACK

RUNG_SECONDS = 240.0
HEAL_SECONDS = 400.0
ARGUMENTS = "cat /proc/[0-9]*/cmdline | tr '\\0' ' '"


@pytest.fixture
def guest(product, running, lab, chat):
    """It hangs; of the sensors' triggers only `heal.overdue` comes."""
    product.guest(lab, chat)
    product.config["watch"] |= {"bmc_poll_seconds": 3600}
    product.config["guardrails"] |= {"booting_seconds": 1}
    product.configure()
    product.sensors(on=True, names=["BmcSensor"])
    hang(lab)
    return Patient(lab, product)


def next_heal(product, guest):
    """What comes of it when a person resumes the host and asks for a heal."""
    product.api.output(product.api.run(f"{PACK}.resume", target=guest.name))
    guest.ask()
    return product.api.output(guest.heal, HEAL_SECONDS)


def test_the_action_runner_dies_in_the_in_band_rung(product, running, lab, chat, guest, aftermath):
    product.config["ladder"] |= {"inband_when_stuck": "try", "inband_limit": 10}
    product.configure()
    guest.ask()
    until(lambda: "mc reset cold" in lab.guest(ARGUMENTS).out, RUNG_SECONDS, "the command on the host")
    running[RUNNER].end(signal.SIGKILL)
    after = aftermath()
    running.start()
    after.tidied(guest)
    escalated(guest, chat)
    assert_left_clean(lab)

    output = next_heal(product, guest)
    assert (output["outcome"], output["healed_by"]) == ("healed", "oob"), output
    assert channels(lab) == ["lan"]
    assert_well(lab, resets=1)
    assert guest.heard(chat)[2:] == [BEGAN, HEALED]


def test_the_workflow_engine_dies_when_the_reset_was_sent(product, running, lab, chat, guest, aftermath):
    guest.ask()
    lab.bmc.wait(lambda now: bool(now.received), seconds=RUNG_SECONDS, what="the reset")
    running[ENGINE].end(signal.SIGKILL)
    after = aftermath()
    after.tidied(guest)
    running.start()
    escalated(guest, chat)

    output = next_heal(product, guest)
    assert output["outcome"] == "not_needed", output
    assert_well(lab, resets=1)

    hang(lab)
    guest.ask()
    output = product.api.output(guest.heal, HEAL_SECONDS)
    assert (output["outcome"], output["healed_by"]) == ("healed", "oob"), output
    assert channels(lab) == ["lan", "lan"]
    assert_well(lab, resets=2)
