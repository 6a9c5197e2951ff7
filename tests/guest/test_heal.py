"""The main job: a hung BMC is healed, with one reset where one is enough, and nothing is left behind."""

import pytest

from tests.guest.healer import HEAL_SECONDS, HOST, Healer
from tests.guest.outside import assert_left_clean, assert_well, channels, hang
from tests.guest.payload import kipmi_high_cpu


@pytest.fixture
def both(lab, tmp_path):
    lab.bmc.reset_seconds(3)
    healer = Healer(lab, tmp_path)
    yield healer
    healer.close()


@pytest.mark.parametrize("lab", ["legacy", "stock"], indirect=True)
def test_a_hung_bmc_is_healed_out_of_band_with_one_reset(lab, both):
    both.settings(inband_when_stuck="try", stuck_windows=3)
    hang(lab)
    ended = both.heal()
    assert ended.ending == (0, "healed", "oob"), ended.sentence
    assert channels(lab) == ["lan"]
    assert_well(lab, resets=1)
    assert both.status()["open_deeds"] == []


def test_with_the_device_held_the_in_band_reset_is_skipped(stock, healer):
    healer.settings(inband_when_stuck="try")
    holder = stock.scenes.hold_device()
    hang(stock)
    ended = healer.heal()
    assert ended.ending == (0, "healed", "oob"), ended.sentence
    report = healer.report(ended.told["incident"])
    assert "reset_in_band" not in [step["step"] for step in report["steps"]]
    assert "would stay queued" in report["left_out"]["inband"]
    assert f"holder (pid {holder}) holds /dev/ipmi0" in report["left_out"]["unload"]
    assert channels(stock) == ["lan"]
    assert_well(stock, resets=1)
    assert stock.guest(f"kill -0 {holder}").rc == 0


def test_a_holder_after_the_in_band_reset_makes_it_two_resets_and_both_are_told(stock, healer, chat):
    healer.config["notify"] = [{"url": chat.url}]
    healer.settings(inband_when_stuck="try")
    hang(stock)
    heal = healer.start("heal", HOST)
    heal.until(lambda line: "rung: in-band cold reset done" in line, HEAL_SECONDS, "its end")
    stock.scenes.hold_device()
    assert heal.finish() == 0
    report = healer.incidents()[0]
    assert (report["outcome"], report["healed_by"]) == ("healed", "oob"), report["sentence"]
    gate = next(step for step in report["steps"] if step["step"] == "gate_out_of_band_reset")
    assert gate["evidence"]["queued_in_band_reset"] == "seen"
    assert "two resets" in chat.heard[-1][1]
    assert channels(stock) == ["lan", "inband"]
    assert_well(stock, resets=2)


def test_an_interrupt_driven_driver_has_no_kipmi_and_is_healed_all_the_same(irq, tmp_path):
    healer = Healer(irq, tmp_path)
    try:
        service = healer.serve()
        hang(irq)
        seen = service.told("bmc.unresponsive")
        assert (seen["path"], seen["threads"]) == ("inband", [])
        ended = service.heal_ended()
        assert (ended["outcome"], ended["healed_by"]) == ("healed", "oob"), ended["summary"]
    finally:
        healer.close()
    assert channels(irq) == ["lan"]
    assert_well(irq, resets=1)


def test_a_healthy_host_needs_no_heal(stock, healer):
    ended = healer.heal()
    assert ended.ending == (0, "not_needed", ""), ended.sentence
    assert_well(stock, resets=0)


def test_a_dry_run_shows_the_plan_and_sends_nothing(stock, healer):
    healer.settings(inband_when_stuck="try")
    hang(stock)
    before = stock.guest("pidof ipmitool; grep ^ipmi /proc/modules").out
    ended = healer.heal("--dry-run")
    assert ended.ending == (3, "proposed", ""), ended.sentence
    assert "reap -> inband -> unload -> throttle -> oob -> load" in ended.sentence
    assert stock.guest("pidof ipmitool; grep ^ipmi /proc/modules").out == before
    assert channels(stock) == []
    assert_left_clean(stock)


def test_in_mode_propose_the_command_that_chat_reads_heals(stock, healer, chat):
    healer.config |= {"mode": "propose", "notify": [{"url": chat.url}]}
    hang(stock)
    seen = healer.trigger("kipmi.high_cpu", **kipmi_high_cpu())
    assert seen.ending == (3, "proposed", ""), seen.sentence
    assert channels(stock) == []
    command = chat.heard[-1][1].split("`")[1]
    assert command == f"!bmc heal {HOST} {seen.told['incident']}"
    typed = healer.run("chat", command)
    assert typed.ending == (0, "healed", "oob"), typed.sentence
    assert chat.titles[-1] == f"{HOST}: BMC healed"
    assert_well(stock, resets=1)


def test_a_bmc_with_a_foreign_guid_is_proposed_and_healed_only_on_trust(stock, healer):
    stock.bmc.set_guid("11112222333344445555666677778888")
    hang(stock)
    ended = healer.heal()
    assert ended.ending == (3, "proposed", ""), ended.sentence
    assert channels(stock) == []
    assert_left_clean(stock)
    healer.host["bmc"]["identity"] = "trust"
    ended = healer.heal()
    assert ended.ending == (0, "healed", "oob"), ended.sentence
    assert_well(stock, resets=1)
