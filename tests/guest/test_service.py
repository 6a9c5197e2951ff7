"""`bmc-healer run`: finds the fault and heals it by itself."""

from tests.guest.healer import HOST
from tests.guest.outside import assert_well, channels, hang
from tests.guest.payload import kipmi_high_cpu

WATCHED = "while :; do pidof ipmitool | tr ' ' '\\n' >> /tmp/seen; sleep 0.3; done >/dev/null 2>&1 &"


def test_stuck_counters_are_found_and_healed_once(stock, healer, chat):
    healer.config["notify"] = [{"url": chat.url}]
    healer.settings(stuck_windows=2)
    service = healer.serve()
    hang(stock)
    assert service.told("kipmi.high_cpu")["signature"] == "stuck_counters"
    service.event(
        lambda event: event["kind"] == "execution.started" and event["task"] == "unload_driver",
        120,
        "the rung unload",
    )
    second = healer.trigger("kipmi.high_cpu", **kipmi_high_cpu())
    assert second.ending == (3, "refused", ""), second.sentence
    ended = service.heal_ended()
    assert (ended["outcome"], ended["healed_by"]) == ("healed", "oob"), ended["summary"]
    assert channels(stock) == ["lan"]
    service.told("kipmi.recovered")
    assert_well(stock, resets=1)
    assert f"{HOST}: BMC healed" in chat.titles


def test_a_pile_up_gets_no_further_client(stock, healer):
    stock.bmc.hang()
    stock.scenes.pile_up_old(12)
    stock.bmc.wait(lambda now: now.swallowed > 0, seconds=60)
    stock.guest("until [ $(pidof ipmitool | wc -w) = 12 ]; do sleep 0.2; done", timeout=60)
    piled = set(stock.guest("pidof ipmitool").out.split())
    assert len(piled) == 12
    stock.guest(WATCHED)
    seen = healer.run("diagnose", HOST)
    assert (seen.status, seen.told["verdict"]) == (0, "hung"), seen.sentence
    ended = healer.heal("--dry-run")
    assert ended.ending == (3, "proposed", ""), ended.sentence
    assert set(stock.guest("cat /tmp/seen").out.split()) == piled
