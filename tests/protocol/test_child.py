"""The process behind a session: it dies with its parent and in time, and its secrets stay in its stdin."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
from misbehaving_bmc import MisbehavingBmc, silent_at

from bmc_healer.bmc.facts import Login
from bmc_healer.bmc.session import cold_reset, look
from bmc_healer.config.secrets import BmcLogin

HERE = "127.0.0.1"
LOGIN = BmcLogin(b"admin", b"Tr0ub4dor&3")
PARENT = """
import sys
from bmc_healer.bmc.session import look
from bmc_healer.config.secrets import BmcLogin
look("127.0.0.1", int(sys.argv[1]), BmcLogin(b"admin", b"secret"), limit=60)
"""


def wait_for(condition, seconds=5.0):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.02)
    return condition()


def children(pid):
    """Children of a process that talk to a BMC."""
    return [
        child for child in psutil.Process(pid).children() if "bmc_healer.bmc.session_child" in child.cmdline()
    ]


@pytest.fixture
def silent():
    """A BMC that leaves everybody waiting for RAKP 2."""
    with MisbehavingBmc(silent_at("rakp1")) as bmc:
        yield bmc


def in_background(function):
    results = []
    thread = threading.Thread(target=lambda: results.append(function()))
    thread.start()
    return thread, results


def test_it_dies_with_its_parent(silent):
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "lib")}
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(silent.port)], env=environment)
    assert wait_for(lambda: silent.received["rakp1"])
    (child,) = children(parent.pid)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    psutil.wait_procs([child], timeout=3)
    assert not child.is_running()


def test_it_is_alone_and_shows_no_secret(silent):
    thread, results = in_background(lambda: look(HERE, silent.port, LOGIN, limit=4))
    assert wait_for(lambda: silent.received["rakp1"])
    (child,) = children(os.getpid())
    assert os.getsid(child.pid) == child.pid != os.getsid(0)
    shown = " ".join(child.cmdline()) + str(child.environ())
    for secret in (LOGIN.password.decode(), LOGIN.password.hex()):
        assert secret not in shown
    thread.join()
    assert not child.is_running()
    assert LOGIN.password.decode() not in results[0].error


def test_it_ends_at_its_deadline_though_its_parent_does_not_see_to_it(silent):
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "lib")}
    child = subprocess.Popen(
        [sys.executable, "-m", "bmc_healer.bmc.session_child"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
    )
    request = (
        f'{{"operation": "look", "address": "{HERE}", "port": {silent.port}, "user": "61", "password": "62", '
        f'"deadline": {time.monotonic() + 3}}}\n'
    )
    child.stdin.write(request.encode())
    child.stdin.flush()
    assert child.wait(6) == -signal.SIGALRM


def test_a_child_that_hangs_is_killed_at_the_limit(silent):
    started = time.monotonic()
    thread, results = in_background(lambda: look(HERE, silent.port, LOGIN, limit=3))
    assert wait_for(lambda: silent.received["rakp1"])
    (child,) = children(os.getpid())
    child.suspend()
    thread.join()
    assert time.monotonic() - started < 6
    assert not child.is_running()
    assert results[0].login is Login.FAILED
    assert "within 3 s" in results[0].error


def test_a_child_that_is_killed_is_one_sentence(silent):
    thread, results = in_background(lambda: look(HERE, silent.port, LOGIN, limit=20))
    assert wait_for(lambda: silent.received["rakp1"])
    (child,) = children(os.getpid())
    child.kill()
    thread.join()
    assert results[0].login is Login.FAILED
    assert "died" in results[0].error


def test_when_it_dies_after_the_go_the_reset_may_have_happened():
    def kill():
        (child,) = children(os.getpid())
        child.kill()

    with MisbehavingBmc() as bmc:
        answer = cold_reset(HERE, bmc.port, BmcLogin(b"admin", b"secret"), limit=20, guid=None, may_send=kill)
    assert (answer.sent, answer.completion_code) == (True, None)
    assert "died" in answer.error
