"""An audit of a real host: nothing is missing; then one thing after the other is."""

from lab import BmcSim
from tests.guest.healer import HOST
from tests.guest.outside import assert_well, channels

COUNTER = "cat /sys/class/ipmi/ipmi0/device/complete_transactions"
HIDE = "mount --bind /dev/null $(command -v ipmitool)"  # ash takes every regular file for a command
SHOW = "umount /usr/bin/ipmitool"


def audit(healer):
    """Exit status, the one host's checks that are not good, `auto`, rungs, and all that is missing."""
    ended = healer.run("audit", HOST)
    (host,) = ended.told["hosts"]
    faults = {name: state for name, state in host["checks"].items() if state != "good"}
    says = " ".join(f"{fault['what']} {fault['do']}" for fault in host["missing"])
    return ended.status, faults, host["auto"], host["rungs"], says


def test_a_healthy_host_lacks_nothing_and_is_left_alone(stock, healer):
    healer.settings(inband_when_stuck="try")
    before = stock.guest(COUNTER).out
    assert audit(healer) == (0, {}, "yes", ["inband", "unload", "oob"], "")
    assert stock.guest(COUNTER).out == before  # nothing was asked in-band
    assert stock.bmc.status().logins == 1
    assert channels(stock) == []
    assert_well(stock, resets=0)


def test_what_a_real_host_lacks(stock, healer):
    assert stock.guest(HIDE).rc == 0
    try:
        status, faults, auto, rungs, says = audit(healer)
    finally:
        stock.guest(SHOW)
    assert (status, faults, auto, rungs) == (4, {"ipmitool": "missing"}, "partly", ["unload", "oob"])
    assert "Install the package ipmitool" in says

    stock.guest("rmmod ipmi_devintf")
    status, faults, auto, rungs, says = audit(healer)
    assert (status, faults, auto) == (4, {"driver": "missing"}, "partly")
    assert "`modprobe ipmi_devintf`" in says
    stock.guest("modprobe ipmi_devintf")

    stock.scenes.hold_device()
    assert audit(healer)[:4] == (0, {}, "yes", ["oob"])

    healer.host["ssh"]["user"] = "ops"
    status, faults, auto, _, says = audit(healer)
    assert (status, faults, auto) == (4, {"sudo": "missing", "identity": "unseen"}, "no")
    assert "allow the login NOPASSWD: ALL" in says


def test_another_machine_s_bmc_is_found_out(stock, healer):
    with BmcSim(name="neighbour") as neighbour:
        healer.host["bmc"]["port"] = neighbour.lan_port
        status, faults, auto, rungs, says = audit(healer)
        assert (status, faults, auto, rungs) == (4, {"identity": "missing"}, "no", [])
        assert f"its GUID {neighbour.guid} is not the host's SMBIOS UUID" in says
        assert neighbour.bmc.status().received == ()
