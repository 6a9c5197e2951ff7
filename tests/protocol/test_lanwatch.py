"""LanWatch against a real ipmi_sim; loss, short gaps and stalls need a mock (see `misbehaving_bmc`)."""

import gc
import threading
import time
from pathlib import Path

import pytest
from misbehaving_bmc import Gap, MisbehavingBmc, later, lossy

from bmc_healer.bmc.ping import LanWatch
from bmc_healer.errors import BmcError
from lab import BmcSim

HERE = "127.0.0.1"
GAP = 3.0  # seconds; on a busy machine a dark period is known as one after 1.4


def taken_back(watch):
    """The late answers come in any order."""
    deadline = time.monotonic() + 2
    while watch.dark_periods and time.monotonic() < deadline:
        time.sleep(0.01)
    assert watch.dark_periods == ()


def test_a_reset_is_one_dark_period():
    with BmcSim(name="watched", reset_seconds=2) as sim, LanWatch(HERE, sim.lan_port) as watch:
        assert watch.wait_back(5)
        assert watch.dark_periods == ()
        before = time.time()
        assert sim.oob("mc", "reset", "cold").rc == 0
        assert watch.wait_dark(5)
        assert not watch.alive
        assert watch.wait_back(10)
        assert watch.alive
        (period,) = watch.dark_periods
        assert before - 0.5 < period.start < period.end < time.time()
        assert 1.5 < period.end - period.start < 4


def test_the_second_dark_period_can_be_waited_for():
    gap = Gap(GAP)
    with MisbehavingBmc(gap) as bmc, LanWatch(HERE, bmc.port) as watch:
        time.sleep(2)  # a watch that has just begun is more careful
        for count in (1, 2):
            gap.begin()
            assert watch.wait_dark(5, count=count)
            assert watch.wait_back(5)
        assert not watch.wait_dark(0.1, count=3)


def test_silence_from_the_start_is_darkness_where_it_was_known_to_live():
    gap = Gap(3.0)
    gap.begin()
    with MisbehavingBmc(gap) as bmc, LanWatch(HERE, bmc.port, alive=True) as watch:
        assert not watch.alive, "it has not answered here"
        assert watch.wait_back(5)
        assert len(watch.dark_periods) == 1


def test_loss_is_not_darkness():
    with MisbehavingBmc(lossy(0.3, 4)) as bmc, LanWatch(HERE, bmc.port) as watch:
        assert not watch.wait_dark(6)
        assert watch.alive


def test_slowness_is_not_darkness():
    with MisbehavingBmc(later(1.3)) as bmc, LanWatch(HERE, bmc.port) as watch:
        assert watch.wait_back(3)
        assert not watch.wait_dark(3)


def test_a_stall_is_taken_back():
    stall = Gap(4.0, later=True)  # long enough to be noticed on a busy machine
    with MisbehavingBmc(stall) as bmc, LanWatch(HERE, bmc.port) as watch:
        assert watch.wait_back(2)
        stall.begin()
        assert watch.wait_dark(4)
        assert watch.wait_back(6)
        taken_back(watch)


def test_what_was_dark_before_the_reset_went_out_is_not_its_doing():
    gap = Gap(GAP)
    with MisbehavingBmc(gap) as bmc, LanWatch(HERE, bmc.port) as watch:
        time.sleep(2)  # a watch that has just begun is more careful
        gap.begin()
        assert watch.wait_dark(5)
        watch.reset_goes_out()
        assert watch.wait_back(5)
        assert not watch.wait_dark(0.1)
        gap.begin()
        assert watch.wait_dark(5)
        assert (len(watch.dark_periods), len(watch.dark_since_reset)) == (2, 1)


def test_a_stall_before_the_reset_does_not_hide_the_reset():
    stall, gap = Gap(4.0, later=True), Gap(GAP)

    def script(step, packet):
        return gap(step, packet) and stall(step, packet)

    with MisbehavingBmc(script) as bmc, LanWatch(HERE, bmc.port) as watch:
        assert watch.wait_back(2)
        stall.begin()
        assert watch.wait_dark(4)
        watch.reset_goes_out()
        assert watch.wait_back(6)
        taken_back(watch)
        gap.begin()
        assert watch.wait_dark(5)
        assert len(watch.dark_since_reset) == 1


@pytest.mark.parametrize("source", ["127.0.0.2", None])
def test_only_the_bmc_itself_is_believed(source):
    with MisbehavingBmc(source=source) as bmc, LanWatch(HERE, bmc.port) as watch:
        assert watch.wait_back(1) is (source is None)


def test_a_bmc_that_was_never_alive_is_not_dark():
    with LanWatch(HERE, 9) as watch:  # nobody there: ICMP errors come back
        assert not watch.wait_dark(2)
        assert not watch.alive
        assert watch.last_answer is None


def test_without_a_route_nothing_is_said():
    with LanWatch("255.255.255.255", 623) as watch:  # the kernel sends no broadcast without SO_BROADCAST
        assert not watch.wait_dark(1.5)


def descriptors():
    gc.collect()  # what earlier tests left is closed now, not in between
    return len(list(Path("/proc/self/fd").iterdir()))


def test_it_costs_nothing_and_leaves_nothing():
    with BmcSim(name="watched") as sim:
        before = descriptors()
        with LanWatch(HERE, sim.lan_port) as watch:
            before_cpu = time.process_time()
            assert not watch.wait_dark(4)
            used = time.process_time() - before_cpu
        assert descriptors() == before
    assert used < 0.04  # under 1 % of a core
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("lanwatch")]


def test_a_name_is_refused():
    with pytest.raises(BmcError), LanWatch("localhost", 623):
        pass
