"""Heals that are interrupted: the deed is done once, tidy ends what is left, the host can be healed again."""

import signal

import pytest

from lab import BmcSim
from tests.stackstorm.api import until
from tests.stackstorm.dying import (
    API_SECONDS,
    BEGAN,
    DIED,
    ENGINE,
    LEFT_ALONE,
    PERSON,
    RUNNER,
    Patient,
    actions_alive,
    admit,
    escalated,
)
from tests.stackstorm.product import PACK

WAITED_SECONDS = 60.0
SLOW_SECONDS = 0.3  # of every datagram: there is time to interrupt the sending of a reset


@pytest.fixture
def ward(product, running, chat):
    """Two hosts, and a sensor that looks for overdue heals."""
    with BmcSim(name="dark", reset_seconds=None) as dark, BmcSim(name="slow") as slow:
        patients = [Patient(dark, product), Patient(slow, product)]
        admit(product, patients, chat)
        yield patients
        running.start()
        until(product.api.answers, API_SECONDS, "StackStorm's API")


@pytest.fixture
def middle(ward):
    """Both are in the middle of a rung: one BMC is dark, the other's reset is being sent."""
    dark, slow = ward
    slow.sim.bmc.lan_slow(SLOW_SECONDS)
    dark.start()
    dark.until_dark()
    slow.start()
    slow.until_sending()
    return ward


@pytest.fixture
def after(middle, aftermath):
    """What comes after now."""
    return aftermath()


def healable(product, patients):
    """The next heal of each host goes all the way, and resets its BMC once more."""
    before = {patient.name: patient.resets for patient in patients}
    for patient in patients:
        patient.sim.bmc.lan_ok()
        patient.sim.bmc.reset_seconds(3)
        product.api.output(product.api.run(f"{PACK}.resume", target=patient.name))
        patient.start()
    for patient in patients:
        output = product.api.output(patient.heal)
        steps = {step["step"]: step["verdict"] for step in output["steps"]}
        assert steps.get("gate_out_of_band_reset") == "passed", output
        assert patient.resets == before[patient.name] + 1


def test_cancelled_by_a_person(product, chat, middle, after):
    dark, slow = middle
    for patient in (slow, dark):
        product.api.cancel(patient.heal)
    dark.back()
    after.tidied(*middle)
    assert (dark.resets, slow.resets) == (1, 0)
    escalated(dark, chat, "The heal was cancelled at the step gate_out_of_band_reset")
    assert slow.incident["outcome"] == "refused" and "is cancel" in slow.incident["sentence"]
    assert slow.heard(chat) == [BEGAN, LEFT_ALONE]
    healable(product, middle)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_action_runner_dies(product, running, chat, middle, after, number):
    running[RUNNER].end(number)
    assert actions_alive(running), "what it started lives on, and does its deed"
    middle[0].back()
    running.start()
    after.tidied(*middle)
    for patient in middle:
        assert patient.resets == 1
        escalated(patient, chat)
    healable(product, middle)


def test_the_action_runner_dies_and_its_deed_lives_long(product, running, chat, ward, aftermath):
    """Who waits for a BMC that does not come back does not keep a heal alive that nobody goes on with."""
    dark, _ = ward
    product.config["ladder"]["back_wait"] = 600
    product.configure()
    dark.start()
    dark.until_dark()
    running[RUNNER].end(signal.SIGKILL)
    after = aftermath()
    running.start()
    after.freed(dark)
    assert actions_alive(running), "it still waits"
    escalated(dark, chat)
    dark.back()
    until(lambda: not actions_alive(running), WAITED_SECONDS, "the end of who waited for the BMC")
    after.tidied(dark)
    assert dark.resets == 1
    escalated(dark, chat)


def test_the_machine_of_the_action_runner_dies(product, running, chat, middle, after):
    dark, slow = middle
    running[RUNNER].end(signal.SIGKILL, below=True)
    assert not actions_alive(running)
    dark.back()
    running.start()
    after.tidied(*middle)
    assert (dark.resets, slow.resets) in ((1, 0), (1, 1))
    escalated(dark, chat, "The step reset_out_of_band ended without a result")
    assert slow.heard(chat)[1:] in ([PERSON], [LEFT_ALONE]) and DIED in slow.incident["sentence"]
    healable(product, middle)


def test_the_workflow_engine_dies_and_comes_back_at_once(product, running, chat, middle):
    running[ENGINE].end(signal.SIGKILL)
    middle[0].back()
    running.start()
    for patient in middle:
        output = product.api.output(patient.heal)
        assert "In-band IPMI could not be checked" in output["summary"], output
        assert patient.resets == 1
        assert patient.heard(chat) == [BEGAN, PERSON]


def test_the_workflow_engine_dies_and_comes_back_late(product, running, chat, middle, after):
    tasks = [product.api.tasks(patient.heal) for patient in middle]
    running[ENGINE].end(signal.SIGKILL)
    middle[0].back()
    after.tidied(*middle)
    running.start()
    for patient in middle:
        assert patient.resets == 1
        escalated(patient, chat)
    healable(product, middle)
    dead = product.api.executions(f"{PACK}.heal")[2:4]
    assert sorted(product.api.tasks(run["id"]) for run in dead) == sorted(tasks)


def test_all_of_stackstorm_dies(product, running, chat, middle, after):
    for service in running.stackstorm():
        service.end(signal.SIGKILL)
    middle[0].back()
    running.start()
    until(product.api.answers, API_SECONDS, "StackStorm's API")
    after.tidied(*middle)
    dark, slow = middle
    assert dark.resets == 1
    escalated(dark, chat)
    if slow.resets:
        escalated(slow, chat)
    else:  # the engine was gone before it was sent
        assert slow.incident["outcome"] == "refused" and "nothing was sent" in slow.incident["sentence"]
        assert slow.heard(chat) == [BEGAN, LEFT_ALONE]
    assert slow.resets <= 1
    healable(product, middle)
