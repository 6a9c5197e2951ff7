"""The simulated BMC as a whole: a real ipmi_sim, asked by a real ipmitool."""

import os
import socket
import subprocess
import sys
import time

import pytest

from lab import BmcSim, LabError

INFO = ("raw", "6", "1")  # Get Device ID without the twelve other questions of `mc info`


@pytest.fixture(scope="module")
def running():
    with BmcSim(reset_seconds=1) as sim:
        yield sim


@pytest.fixture
def sim(running):
    running.bmc.restore()
    return running


def alive(sim, **login):
    return sim.oob("-N", "1", "-R", "1", *INFO, **login).rc == 0


def test_a_cold_reset_is_answered_then_dark_then_over(sim):
    assert sim.oob("mc", "reset", "cold").rc == 0
    sim.bmc.wait(lambda now: now.dark, seconds=2)
    assert not alive(sim)
    status = sim.bmc.wait_reset(1, seconds=5)
    assert alive(sim)
    assert [(one.kind, one.channel) for one in status.received] == [("cold", "lan")]
    assert (status.resets, status.reboots) == (1, 0)


def test_the_password_can_be_another_one():
    with BmcSim(password="Of19.bytes_-abcdefg") as sim:
        assert sim.oob(*INFO).rc == 0
        assert not alive(sim, password="labpass")
    with pytest.raises(LabError, match="password"):
        BmcSim(password='a"b')


def test_a_session_does_not_survive_a_reset(sim):
    shell = subprocess.Popen(
        [*sim.oob_command(), "-N", "1", "-R", "1", "shell"],
        env={**os.environ, "IPMI_PASSWORD": sim.password},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    shell.stdin.write("raw 6 2\n")
    shell.stdin.flush()
    sim.bmc.wait_reset(1, seconds=10)
    told, _ = shell.communicate("raw 6 0x25\nexit\n", timeout=60)
    assert "Unable to send RAW command" in told
    assert sim.bmc.status().resets == 1


def test_an_ignored_reset_is_acknowledged_and_changes_nothing(sim):
    sim.bmc.ignore_reset()
    assert sim.oob("raw", "6", "2").rc == 0
    status = sim.bmc.status()
    assert (status.resets, status.resetting, len(status.received)) == (0, False, 1)
    sim.bmc.ignore_reset(inband=True, lan=False)
    sim.oob("raw", "6", "2")
    assert sim.bmc.wait_reset(1, seconds=5).resets == 1


def test_a_bmc_may_answer_for_a_while_after_its_acknowledgement(sim):
    sim.bmc.ack_seconds(30)
    sim.oob("raw", "6", "2")
    assert alive(sim)
    assert (sim.bmc.status().resetting, sim.bmc.status().dark) == (True, False)


def test_a_reboot_of_its_own_is_no_reset(sim):
    sim.bmc.reboot(0.5)
    status = sim.bmc.wait(lambda now: not now.resetting, seconds=5)
    assert (status.resets, status.reboots, status.received) == (0, 1, ())
    assert alive(sim)


def test_dark_for_ever_until_restored(sim):
    sim.bmc.reset_seconds(None)
    sim.oob("raw", "6", "2")
    sim.bmc.wait(lambda now: now.dark, seconds=2)
    assert not alive(sim)
    assert sim.bmc.restore().resets == 0
    assert alive(sim)


def test_the_lan_side_dead_slow_and_noisy(sim):
    sim.bmc.lan_dead()
    assert not alive(sim)
    assert sim.bmc.status().lan_lost > 0
    sim.bmc.lan_garbage()
    assert not alive(sim)
    sim.bmc.lan_slow(0.2)
    started = time.monotonic()
    assert sim.oob(*INFO).rc == 0
    assert (
        time.monotonic() - started > 0.8
    )  # at least a ping, the two handshakes of a login, and the question
    sim.bmc.lan_ok()
    assert alive(sim)


def test_logins_are_counted_also_those_that_fail(sim):
    assert alive(sim)
    assert sim.bmc.status().logins == 1
    assert sim.oob("-N", "1", "-R", "1", *INFO, password="wrong").rc != 0
    assert sim.bmc.status().logins == 2


def test_an_operator_may_look_but_not_reset(sim):
    assert sim.oob("chassis", "power", "status", user="operator").rc == 0
    assert "rsp=0xd4" in sim.oob("raw", "6", "2", user="operator").err
    assert sim.bmc.status().received == ()


def test_the_guid_is_the_same_in_a_session_and_can_be_another(sim):
    def told():
        return sim.oob("raw", "6", "0x37").out.replace(" ", "").strip()

    assert told() == sim.guid
    sim.bmc.set_guid("00112233-4455-6677-8899-aabbccddeeff")
    assert told() == "00112233445566778899aabbccddeeff"


def test_what_the_bmc_says_of_itself(sim):
    sim.bmc.device_available(False)
    sim.bmc.power(False)
    sim.bmc.watchdog(True)
    assert "Device Available          : no" in sim.oob("mc", "info").out
    assert "Started/Running" in sim.oob("mc", "watchdog", "get").out
    sim.bmc.watchdog(None)
    assert "rsp=0xc1" in sim.oob("raw", "6", "0x25").err
    assert "Power is off" in sim.oob("chassis", "power", "status").out
    sim.oob("chassis", "power", "on")
    status = sim.bmc.status()
    assert (status.power, status.chassis) == (True, ("0x01",))


def test_another_firmware_after_a_reset(sim):
    sim.bmc.firmware_after_reset("9.10")
    assert "9.08" in sim.oob("mc", "info").out
    sim.oob("raw", "6", "2")
    assert sim.bmc.wait_reset(1, seconds=5).firmware == "9.10"
    assert "9.10" in sim.oob("mc", "info").out


def test_wishes_that_make_no_sense_are_refused_and_harm_nothing(sim):
    with pytest.raises(LabError, match="firmware version"):
        sim.bmc.set_firmware("new")
    assert sim.bmc.status().firmware == "9.08"
    with pytest.raises(LabError, match="did not reach"):
        sim.bmc.wait(lambda now: now.dark, seconds=0.1)


def test_several_at_once_are_told_apart(sim):
    with BmcSim(name="other", reset_seconds=0.2) as other:
        assert other.guid != sim.guid
        other.oob("raw", "6", "2")
        other.bmc.wait_reset(1, seconds=5)
        assert sim.bmc.status().resets == 0


def nothing_runs_in(run_dir):
    deadline = time.monotonic() + 10
    while left := subprocess.run(["pgrep", "-f", str(run_dir)], capture_output=True, check=False).stdout:
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


def test_a_killed_owner_leaves_nothing_behind():
    script = "import time; from lab import BmcSim; sim = BmcSim(); sim.start(); "
    script += "print(sim.control_port, sim.run_dir, flush=True); time.sleep(600)"
    owner = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    port, run_dir = owner.stdout.readline().split()
    owner.kill()
    owner.wait()
    nothing_runs_in(run_dir)
    deadline = time.monotonic() + 10  # the daemon goes after its simulator
    with pytest.raises(ConnectionRefusedError):
        while time.monotonic() < deadline:
            socket.create_connection(("127.0.0.1", int(port)), timeout=1).close()
            time.sleep(0.05)


def test_a_killed_daemon_leaves_no_simulator(tmp_path):
    with BmcSim(run_dir=tmp_path) as sim:
        daemon = sim._process
        daemon.kill()
        daemon.wait()
        nothing_runs_in(tmp_path)
