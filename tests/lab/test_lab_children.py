"""Children die with the process that started them, and stop when told."""

import os
import subprocess
import sys
import time

import pytest

from lab import children


@pytest.fixture
def sleeper(tmp_path):
    """A command that writes its pid and sleeps; `pid()` waits for it."""

    class Sleeper:
        argv = ("sh", "-c", f"echo $$ > {tmp_path}/half && mv {tmp_path}/half {tmp_path}/pid; exec sleep 500")

        def pid(self):
            wait_for((tmp_path / "pid").exists)
            return int((tmp_path / "pid").read_text())

    return Sleeper()


def wait_for(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def gone(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_a_kept_command_ends_when_stopped(tmp_path, sleeper):
    kept = children.keep(sleeper.argv, log=tmp_path / "log")
    pid = sleeper.pid()
    assert not gone(pid)
    children.stop(kept)
    wait_for(lambda: gone(pid))


def test_a_kept_command_that_ends_tells_its_status(tmp_path):
    kept = children.keep(["sh", "-c", "echo words; exit 7"], log=tmp_path / "log")
    assert kept.wait(10) == 7
    assert (tmp_path / "log").read_text() == "words\n"


def test_a_kept_command_dies_with_a_killed_owner(tmp_path, sleeper):
    script = "import sys, time; from pathlib import Path; from lab import children; "
    script += "children.keep(sys.argv[2:], log=Path(sys.argv[1])); time.sleep(500)"
    owner = subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "log"), *sleeper.argv])
    pid = sleeper.pid()
    owner.kill()
    owner.wait()
    wait_for(lambda: gone(pid))


def test_a_kept_command_dies_with_a_killed_keeper(tmp_path, sleeper):
    kept = children.keep(sleeper.argv, log=tmp_path / "log")
    pid = sleeper.pid()
    kept.kill()
    kept.wait()
    wait_for(lambda: gone(pid))
