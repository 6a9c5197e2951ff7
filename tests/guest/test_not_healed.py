"""What must never be called healed, and BMCs that must be left alone."""

import time

import pytest

from tests.guest.healer import HOST, Healer
from tests.guest.outside import (
    THROTTLE,
    answered_on,
    assert_left_clean,
    assert_quiet,
    assert_well,
    channels,
    hang,
    poll,
)
from tests.guest.payload import bmc_recovered


@pytest.fixture
def legacy(lab, tmp_path):
    healer = Healer(lab, tmp_path)
    yield healer
    healer.close()


def bring_back(healer, seconds=60):
    """Tell that the BMC is back until the healer no longer takes it for booting; how that ended."""
    deadline = time.monotonic() + seconds
    while True:
        ended = healer.trigger("bmc.recovered", **bmc_recovered())
        if ended.told["outcome"] != "refused" or time.monotonic() > deadline:
            return ended


def test_with_the_lan_side_dead_too_the_host_is_relieved_and_later_brought_back(lab, legacy):
    legacy.settings(booting_seconds=5)
    lab.bmc.lan_dead()
    hang(lab)
    assert lab.scenes.kipmi_cpu() > 60
    legacy.run("diagnose", HOST)  # the silence is seen for the first time
    ended = legacy.heal()
    assert ended.ending == (4, "relieved", ""), ended.sentence
    assert_quiet(lab)
    assert channels(lab) == []
    assert_left_clean(lab)

    lab.bmc.ok()
    lab.bmc.lan_ok()
    ended = bring_back(legacy)
    assert ended.ending == (0, "not_needed", ""), ended.sentence
    assert lab.guest(THROTTLE).out.strip() == "0"
    assert_well(lab, resets=0)


def test_a_bmc_that_does_not_return_from_its_reset_is_relieved_and_later_brought_back(stock, healer):
    healer.settings(booting_seconds=5, back_wait=10)
    stock.bmc.reset_seconds(None)
    hang(stock)
    ended = healer.heal()
    assert ended.ending == (4, "relieved", ""), ended.sentence
    assert_quiet(stock)
    assert stock.guest("ls /dev/ipmi0").rc != 0
    assert channels(stock) == ["lan"]

    stock.bmc.restore()
    ended = bring_back(healer)
    assert ended.ending == (0, "not_needed", ""), ended.sentence
    assert_well(stock, resets=0)


def test_an_acknowledged_and_ignored_reset_is_escalated_and_holds_the_host(stock, healer, chat):
    healer.config["notify"] = [{"url": chat.url}]
    healer.settings(modprobe_limit=15)
    stock.bmc.ignore_reset()
    hang(stock)
    ended = healer.heal()
    assert ended.ending == (4, "escalated", ""), ended.sentence
    assert "did not reset" in ended.sentence
    assert channels(stock) == ["lan"]
    assert stock.bmc.status().resets == 0
    assert chat.titles[-1] == f"{HOST}: BMC needs a person"
    assert_left_clean(stock)

    again = healer.heal()
    assert again.ending == (3, "refused", ""), again.sentence
    assert "was escalated" in again.sentence and "bmc resume" in again.sentence
    assert channels(stock) == ["lan"]

    assert healer.run("resume", HOST).status == 0
    stock.bmc.ignore_reset(inband=False, lan=False)
    ended = healer.heal()
    assert ended.ending == (0, "healed", "oob"), ended.sentence
    assert_well(stock, resets=1)


def test_a_bmc_that_reboots_by_itself_is_left_alone(stock, healer):
    poll(stock)
    service = healer.serve()
    answered_on(stock, 5, seconds=60)
    stock.bmc.reboot(60)
    stock.bmc.wait(lambda now: not now.dark, seconds=120, what="the end of its reboot")
    answered_on(stock, 20, seconds=120)
    service.close()
    assert {incident["outcome"] for incident in healer.incidents()} <= {"refused", "not_needed"}
    assert channels(stock) == []


def test_a_slow_bmc_is_left_alone(stock, healer):
    stock.bmc.slow(3)
    poll(stock)
    service = healer.serve()
    answered_on(stock, 10, seconds=120)
    service.close()
    assert {incident["outcome"] for incident in healer.incidents()} <= {"not_needed"}
    ended = healer.heal()
    assert ended.ending == (0, "not_needed", ""), ended.sentence
    assert channels(stock) == []
    assert stock.guest(THROTTLE).out.strip() in ("", "0")
    answered_on(stock, 1, seconds=60)  # monitoring was left alone too
