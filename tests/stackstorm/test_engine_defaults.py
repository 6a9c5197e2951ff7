"""A heal that dies under the marks and limits that are the default: noticed within five minutes."""

import signal

import pytest

from lab import BmcSim
from tests.stackstorm.dying import RUNNER, Patient, actions_alive, escalated
from tests.stackstorm.product import CHAT_KEY, PASSWORD_KEY


@pytest.fixture
def patient(product, running, chat):
    """In the middle of its reset."""
    with BmcSim(name="dark", reset_seconds=None) as sim:
        patient = Patient(sim, product)
        product.api.key(PASSWORD_KEY, sim.password, secret=True)
        product.api.key(CHAT_KEY, chat.url, secret=True)
        product.config = {
            "mode": "auto",
            "hosts": {patient.name: patient.settings()},
            "credentials": {"lab": {"username": sim.user, "password_key": PASSWORD_KEY}},
            "notify": [{"url_key": CHAT_KEY}],
        }
        product.configure()
        product.sensors(on=True)
        patient.start()
        patient.until_dark()
        yield patient


def test_the_machine_of_the_action_runner_dies(running, chat, patient, aftermath):
    running[RUNNER].end(signal.SIGKILL, below=True)
    after = aftermath()
    assert not actions_alive(running)
    patient.back()
    running.start()
    after.tidied(patient)
    assert patient.resets == 1
    escalated(patient, chat)
