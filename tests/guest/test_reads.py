"""What the product opens on a host whose BMC hangs, as the host's kernel saw it."""

import re

from tests.guest.outside import assert_well, channels, hang

TRACE = "/sys/kernel/tracing"
NAMED = ("*ipmi*", "*bmc*", "*guid*", "*firmware_rev*", "*device_id", "*_support", "*_sdrs", "*_id")
# `cat` of one of these hangs in D for minutes: of the BMC's own device, however it is reached (RUNBOOK 3).
HANGS = re.compile(
    r"ipmi_bmc|(^|/)bmc(/|$)|(^|/)(firmware_revision|aux_firmware_revision|device_id|manufacturer_id|product_id"
    r"|ipmi_version|provides_device_sdrs|additional_device_support|guid)$"
)


def trace_opens(lab):
    """Have the guest's kernel note every file that is opened by such a name."""
    wanted = " || ".join(f'name ~ "{name}"' for name in NAMED)
    ran = lab.guest(
        f"set -e; mkdir -p {TRACE}; mount -t tracefs tracefs {TRACE}; cd {TRACE}; "
        "echo 4096 > buffer_size_kb; "
        "echo 'p:opens do_sys_openat2 name=+0($arg2):ustring' > kprobe_events; "
        f"echo '{wanted}' > events/kprobes/opens/filter; echo 1 > events/kprobes/opens/enable"
    )
    assert ran.rc == 0, ran


def opened(lab):
    """Their names."""
    return set(re.findall(r'name="(.*?)"', lab.guest(f"cat {TRACE}/trace").out))


def trace_no_more(lab):
    """Give the guest back as it was."""
    off = "echo 0 > events/kprobes/opens/enable; echo > kprobe_events"
    assert lab.guest(f"cd {TRACE}; {off}; cd /; umount {TRACE}").rc == 0


def test_nothing_is_read_that_can_hang(stock, healer):
    trace_opens(stock)
    try:
        hang(stock)
        service = healer.serve()
        ended = service.heal_ended()
        service.close()
        names = opened(stock)
    finally:
        trace_no_more(stock)
    assert (ended["outcome"], ended["healed_by"]) == ("healed", "oob"), ended["summary"]
    assert {"/sys/class/ipmi/ipmi0/device/params", "/sys/class/ipmi/ipmi0/device/hosed_count"} <= names
    assert not [name for name in names if HANGS.search(name)]
    assert channels(stock) == ["lan"]
    assert_well(stock, resets=1)
