"""No process of an action survives its time limit, however the action ends and whoever hangs."""

import os
import signal
from types import SimpleNamespace

import pytest

from tests.guest.outside import MARKED
from tests.protocol.misbehaving_bmc import MisbehavingBmc, silent_at
from tests.stackstorm.api import ENDED, until
from tests.stackstorm.dying import RUNNER, actions_alive
from tests.stackstorm.family import SESSION, Family
from tests.stackstorm.product import HOST, PACK

LOOK = f"{PACK}.diagnose"
SESSION_SECONDS = 8.0
PROBE_SECONDS = 12.0
LEAVE_SECONDS = 3.0  # a child without parent leaves within one; the machine may be busy
STATUS_SECONDS = 60.0  # its limit
LATE_SECONDS = 15.0  # a process ends itself ten seconds after its limit


@pytest.fixture
def hanging(product):
    """The BMC of a host answers pings, and leaves everybody waiting who opens a session."""
    with MisbehavingBmc(silent_at("rakp1")) as bmc:
        product.bmc_alone(SimpleNamespace(lan_port=bmc.port, user="admin", password="secret"))
        product.config["ladder"] |= {"session_limit": SESSION_SECONDS}
        product.configure()
        yield


@pytest.fixture
def family(running):
    """Every process of the actions that run from now on."""
    until(lambda: not actions_alive(running), 60, "the end of other actions")
    with Family(running) as family:
        yield family


@pytest.fixture
def start(api, running):
    """Starts an action; what its dead runner leaves behind is cancelled afterwards."""
    begun = []

    def run(action):
        begun.append(api.run(action, host=HOST))
        return begun[-1]

    yield run
    running.start()
    for execution in begun:
        if api.execution(execution)["status"] not in ENDED:
            api.cancel(execution)


@pytest.fixture
def limit(api):
    """Sets StackStorm's limit for an action, for the length of a test."""
    before = []

    def to(action, seconds):
        found = api.call("GET", f"/actions/{action}")
        before.append(found)
        timeout = {**found["parameters"]["timeout"], "default": seconds}
        parameters = {**found["parameters"], "timeout": timeout}
        api.call("PUT", f"/actions/{action}", {**found, "parameters": parameters})

    yield to
    for one in before:
        api.call("PUT", f"/actions/{one['ref']}", one)


def test_a_bmc_that_hangs_costs_its_limit_and_leaves_nothing(product, start, hanging, family):
    ended = product.api.ended(start(LOOK))
    assert ended["status"] == "succeeded", ended["result"]
    assert SESSION_SECONDS - 3 < family.longest(SESSION) < SESSION_SECONDS + LEAVE_SECONDS
    assert not family.alive()


def test_an_action_that_stackstorm_ends_takes_its_child_along(product, start, hanging, family, limit):
    product.config["ladder"] |= {"session_limit": 120.0}
    product.configure()
    limit(LOOK, 12)
    execution = start(LOOK)
    family.until_alive(SESSION)
    assert product.api.ended(execution)["status"] == "timeout"
    family.until_gone(LEAVE_SECONDS)


def test_a_killed_runner_s_action_and_its_child_keep_their_limits(product, start, running, hanging, family):
    start(LOOK)
    family.until_alive(SESSION)
    running[RUNNER].end(signal.SIGKILL)
    assert family.alive(SESSION), "an orphan goes on, and so does its child"
    family.until_gone(SESSION_SECONDS + LEAVE_SECONDS, SESSION)
    family.until_gone(LATE_SECONDS)


def test_a_child_ends_with_the_action_that_is_killed(product, start, running, hanging, family):
    product.config["ladder"] |= {"session_limit": 120.0}
    product.configure()
    execution = start(LOOK)
    family.until_alive(SESSION)
    for pid in family.alive("python_action_wrapper"):
        os.kill(pid, signal.SIGKILL)
    family.until_gone(LEAVE_SECONDS)
    assert product.api.ended(execution)["status"] == "timeout"


def test_an_orphan_that_waits_for_an_api_that_hangs_ends_itself(product, start, running, hanging, family):
    start(f"{PACK}.status")
    family.until_alive("status.py")
    (orphan,) = family.alive("status.py")
    os.kill(orphan, signal.SIGSTOP)  # it has not asked yet: importing takes longer than a sample
    os.kill(running["st2api"].pid, signal.SIGSTOP)
    try:
        running[RUNNER].end(signal.SIGKILL)
        os.kill(orphan, signal.SIGCONT)
        waited = family.until_gone(STATUS_SECONDS + LATE_SECONDS)
    finally:
        os.kill(running["st2api"].pid, signal.SIGCONT)
    assert waited > STATUS_SECONDS, "it did not wait for the API"


def test_a_command_on_a_host_that_hangs_ends_at_its_limit(product, start, running, lab, family):
    product.guest(lab)
    product.config["ladder"] |= {"probe_limit": PROBE_SECONDS}
    product.configure()
    lab.bmc.hang()
    start(LOOK)
    until(lambda: lab.guest(MARKED).out, 120, "the probe on the host")
    running[RUNNER].end(signal.SIGKILL, below=True)
    assert not family.alive()
    assert lab.guest(MARKED).out, "the host does not know that we are gone"
    until(lambda: not lab.guest(MARKED).out, PROBE_SECONDS + 20, "the end of the probe")
