"""A healer that is killed: what it sent is never sent twice, and tidy frees the host when that is safe."""

import time

import pytest

from tests.guest.healer import HEAL_SECONDS, HOST
from tests.guest.matrix.deaths import STEP_SECONDS
from tests.guest.outside import assert_left_clean, assert_well, channels, hang
from tests.guest.payload import heal_overdue

TIDY_SECONDS = 200.0


@pytest.fixture
def dying(healer, chat):
    healer.config["notify"] = [{"url": chat.url}]
    return healer


def assert_told_and_held(healer, chat):
    """The dead heal is escalated, chat knows, the lock is free and the host waits for a person."""
    (dead,) = [one for one in healer.incidents() if one["outcome"] == "escalated"]
    assert "ended without a result" in dead["sentence"]
    assert f"{HOST}: BMC needs a person" in chat.titles
    status = healer.status()
    assert (status["healing"], bool(status["held"])) == (None, True)
    assert healer.run("resume", HOST).status == 0


def test_killed_in_the_in_band_rung(stock, dying, chat):
    dying.settings(inband_when_stuck="try", inband_limit=10)
    hang(stock)
    heal = dying.start("heal", HOST)
    heal.until(lambda line: "rung: in-band cold reset ..." in line, STEP_SECONDS, "the in-band rung")
    wait_for(lambda: "reset" in stock.guest("cat /proc/[0-9]*/cmdline | tr '\\0' ' '").out, 60)
    heal.kill()
    incident = dying.incidents()[0]
    refused = dying.heal()
    assert refused.ending == (3, "refused", ""), refused.sentence
    freed = until_freed(dying, incident)
    assert "Its lock is free" in freed.sentence
    assert_left_clean(stock)
    assert_told_and_held(dying, chat)

    ended = dying.heal()
    assert ended.ending == (0, "healed", "oob"), ended.sentence
    assert channels(stock) == ["lan"]
    assert_well(stock, resets=1)


def test_killed_right_after_the_out_of_band_reset_was_sent(stock, dying, chat):
    hang(stock)
    heal = dying.start("heal", HOST)
    stock.bmc.wait(lambda now: bool(now.received), seconds=HEAL_SECONDS, what="the reset")
    heal.kill()
    service = dying.serve()
    overdue = service.event(
        lambda event: (
            event["kind"] == "execution.ended"
            and event["action"] == "bmc_healer.tidy"
            and event["result"]["result"].get("freed", False)
        ),
        TIDY_SECONDS,
        "a tidy that frees the host",
    )
    assert "Its lock is free" in overdue["result"]["result"]["sentence"]
    service.close()
    assert_left_clean(stock)
    assert_told_and_held(dying, chat)

    ended = dying.heal()
    assert ended.ending == (0, "not_needed", ""), ended.sentence
    assert channels(stock) == ["lan"]
    assert_well(stock, resets=1)


def wait_for(condition, seconds):
    """Until it is true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def until_freed(healer, incident):
    """Emit heal.overdue, as the sensor does again and again, until tidy has freed the host."""
    deadline = time.monotonic() + TIDY_SECONDS
    while True:
        tidied = healer.trigger("heal.overdue", **heal_overdue(incident))
        if tidied.told.get("freed") or time.monotonic() > deadline:
            return tidied
        time.sleep(2)
