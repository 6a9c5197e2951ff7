"""The lab's own promise: the fault is real, and only an out-of-band reset cures it."""

import json
import signal
import subprocess
import sys

import pytest

from lab import LabError
from tests.guest.outside import IDLE, answers, assert_busy, assert_quiet

BOTH = pytest.mark.parametrize("lab", ["legacy", "stock"], indirect=True)
BUSY = {
    "legacy": 80.0,
    "stock": 8.0,
}  # percent of a core and more; see KERNELS of the field: 87-100 and 10-22
STUCK = "cd /sys/class/ipmi/ipmi0/device && cat complete_transactions"


@BOTH
def test_healthy_then_hung_then_healed_by_exactly_one_reset(lab):
    assert answers(lab)
    assert_quiet(lab, IDLE)

    lab.bmc.hang()
    lab.scenes.pile_up(3)
    lab.bmc.wait(lambda now: now.swallowed > 0, seconds=60)
    before = lab.guest(STUCK).out
    assert_busy(lab, BUSY[lab.driver])
    assert lab.guest(STUCK).out == before
    assert lab.oob("chassis", "power", "status").rc == 0

    lab.bmc.reset_seconds(3)
    lab.oob("mc", "reset", "cold")
    status = lab.bmc.wait_reset(1, seconds=60)
    assert [(one.kind, one.channel) for one in status.received] == [("cold", "lan")]
    lab.guest("killall ipmitool")
    assert answers(lab)
    assert_quiet(lab, IDLE)
    assert lab.bmc.status().resets == 1


@BOTH
def test_restore_brings_back_whatever_happened(lab):
    lab.bmc.hang()
    lab.scenes.pile_up(2)
    lab.bmc.wait(lambda now: now.swallowed > 0, seconds=60)
    lab.guest("killall ipmitool; rmmod ipmi_devintf acpi_ipmi; setsid rmmod ipmi_si > /dev/null 2>&1 &")
    lab.guest("mkdir -p /run/bmc_healer/lease")
    lab.scenes.stop_ssh()
    assert lab.restore()
    assert lab.bmc.status().requests == 0
    assert lab.guest("ls /run/bmc_healer").rc != 0
    assert lab.guest("ps -o comm").out.count("ipmitool") == 0
    assert lab.guest("true", user="ops").rc == 0  # a new connection
    assert answers(lab)


def test_a_guest_with_changed_files_is_booted_again(lab):
    lab.guest("mv /usr/bin/ipmitool /usr/bin/gone")
    assert not lab.restore()
    assert answers(lab)


def test_a_held_device_keeps_the_driver_from_unloading(lab):
    holder = lab.scenes.hold_device()
    assert lab.guest(f"cat /proc/{holder}/comm").out == "holder\n"
    assert lab.guest("rmmod ipmi_devintf").rc != 0
    lab.scenes.kill(holder)
    assert lab.guest("rmmod ipmi_devintf").rc == 0


def test_the_machine_and_its_bmc_say_the_same_guid(lab):
    smbios = lab.guest("cat /sys/class/dmi/id/product_uuid").out.strip().replace("-", "")
    inband = lab.guest("ipmitool raw 6 0x37").out.replace(" ", "").strip()
    assert smbios == inband == lab.guid


def test_an_inband_reset_is_counted_with_its_channel(lab):
    lab.bmc.reset_seconds(1)
    lab.guest("ipmitool mc reset cold")
    status = lab.bmc.wait_reset(1, seconds=60)
    assert [one.channel for one in status.received] == ["inband"]


def test_a_stopped_ssh_server_refuses_strangers_and_keeps_the_lab(lab):
    lab.scenes.stop_ssh()
    stranger = [*lab.ssh_command(), "true"]
    assert subprocess.run(stranger, capture_output=True, check=False).returncode == 255
    lab.scenes.start_ssh()
    assert subprocess.run(stranger, capture_output=True, check=False).returncode == 0


def test_a_command_that_takes_too_long_is_an_error(lab):
    with pytest.raises(LabError, match="not done within 1 s: sleep 30"):
        lab.guest("sleep 30", timeout=1)


def test_by_hand():
    lab = [sys.executable, "-m", "lab"]
    up = subprocess.Popen(
        [*lab, "up", "--driver", "stock", "--name", "byhand"], stdout=subprocess.PIPE, text=True
    )
    while "Ctrl-C" not in (line := up.stdout.readline()):
        assert line, "it ended while booting"

    def told(*words):
        return subprocess.check_output([*lab, *words], text=True)

    assert told("guest", "--name", "byhand", "hostname") == "byhand\n"
    assert "Power is on" in told("oob", "--name", "byhand", "chassis", "power", "status")
    assert json.loads(told("hang", "--name", "byhand"))["mode"] == "hang"
    up.send_signal(signal.SIGTERM)
    assert up.wait(20) == 0
    gone = subprocess.run([*lab, "status", "--name", "byhand"], capture_output=True, text=True, check=False)
    assert (gone.returncode, "no lab 'byhand' is up" in gone.stderr) == (1, True)
