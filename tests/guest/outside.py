"""What is true of the host and its BMC, seen past the product: over the lab's own connections."""

from __future__ import annotations

import time

QUIET_SECONDS = 60.0
RELIEVED = 10.0  # percent of a core
IDLE = 5.0  # percent of a core; endless honest polling alone takes 8 % and more
MARKED = "grep -l BMC_HEALER_MARK /proc/[0-9]*/environ 2>/dev/null"
THROTTLE = "cat /sys/module/ipmi_si/parameters/kipmid_max_busy_us"


def hang(lab, clients=2):
    """The fault as it begins: the in-band side hangs and monitoring asks all the same."""
    lab.bmc.hang()
    lab.scenes.pile_up(clients)
    lab.bmc.wait(lambda now: now.swallowed > 0, seconds=60, what="a request that hangs")


def answers(lab):
    """Whether in-band IPMI answers."""
    return lab.guest("ipmitool mc info", timeout=120).out.startswith("Device ID ")


def assert_well(lab, *, resets):
    """IPMI works, kipmi is idle, nothing of the heal is left, and the BMC counted exactly so many resets."""
    assert lab.bmc.status().resets == resets
    assert answers(lab)
    assert_quiet(lab, IDLE)
    assert lab.guest(THROTTLE).out.strip() in ("", "0")
    assert_left_clean(lab)


def assert_quiet(lab, percent=RELIEVED):
    """kipmi takes less; one look on a busy machine may show more, since the guest's clock runs on."""
    end = time.monotonic() + QUIET_SECONDS
    while (seen := lab.scenes.kipmi_cpu()) >= percent:
        assert time.monotonic() < end, f"kipmi takes {seen} %"


def assert_busy(lab, percent):
    """kipmi takes more, in one look of several: on a busy machine it gives way."""
    end = time.monotonic() + QUIET_SECONDS
    while (seen := lab.scenes.kipmi_cpu(4)) <= percent:
        assert time.monotonic() < end, f"kipmi takes {seen} %"


def assert_left_clean(lab):
    """No lease and no process of the product on the host."""
    assert lab.guest("ls /run/bmc_healer 2>/dev/null").out == ""
    assert lab.guest(MARKED).out == ""


def channels(lab):
    """The reset commands that reached the BMC, by channel, in order."""
    return [one.channel for one in lab.bmc.status().received]


POLLING = "(while :; do ipmitool mc info; sleep 1; done) >/dev/null 2>&1 </dev/null & echo $!"


def poll(lab):
    """Monitoring that asks once a second, for as long as the guest is not restored."""
    lab.guest(POLLING)
    lab.bmc.wait(lambda now: now.answered > 3, seconds=60, what="the first answers to monitoring")


def answered_on(lab, more, *, seconds):
    """Wait until monitoring got so many more answers: the healer had all that time to do harm."""
    goal = lab.bmc.status().answered + more
    lab.bmc.wait(lambda now: now.answered >= goal, seconds=seconds, what=f"{more} more answers")
