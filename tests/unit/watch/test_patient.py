"""When a probe may be sent: rarely, and never to a BMC that may hang or boot."""

from dataclasses import replace

import pytest

from bmc_healer.config.settings import Config, HostSettings, Mode, WatchSettings
from bmc_healer.watch.hysteresis import Illness
from bmc_healer.watch.lan import LanSeen
from bmc_healer.watch.patient import Patient

from .samples import FIRST, IDLE, SLOW, STUCK, after, client, series

SOFT = {"kipmi": 20.0, "completed": 3, "timeouts": 1300}
POLLED_LITTLE = {"kipmi": 1.0, "completed": 4, "timeouts": 30}

NOW = 1_795_000_000.0
CONFIG = Config(Mode.OBSERVE)
HOUR = CONFIG.watch.probe_seconds


def patient(*windows, first=FIRST, **changes):
    made = Patient(HostSettings("db01", "127.0.0.1", "ssh"), last_answer=NOW - HOUR)
    for sample in series(*windows, first=first):
        made.examine(sample, CONFIG, NOW, held=False, settle_seconds=0.0)
    made.last_answer = NOW - HOUR
    for name, value in changes.items():
        setattr(made, name, value)
    return made


@pytest.mark.parametrize(
    ("made", "due"),
    [
        (patient(IDLE), True),
        (patient(), False),  # one sample says nothing yet
        (patient(STUCK), False),
        (patient(IDLE | {"clients": [client(age=5.0, pid=n) for n in range(10)]}), False),
        (patient(IDLE | {"clients": [client(age=5.0, pid=n) for n in range(9)]}), True),
        (patient(IDLE, first=replace(FIRST, counters={})), False),  # no driver
        (patient(IDLE, last_answer=NOW - HOUR + 1), False),
        (patient(IDLE, last_answer=NOW, ask_at=NOW), True),
        (patient(IDLE, last_answer=NOW + 86400), True),  # the clock was set back since
        (patient(IDLE, last_answer=NOW, ask_at=NOW + 1), False),
        (patient(IDLE, illness=Illness(pending_since=NOW)), False),
        (patient(IDLE, lan=LanSeen(alive_at=NOW)), True),
        (patient(IDLE, lan=LanSeen(alive_at=NOW, dark_at=NOW - 60, dark_since=NOW - 90)), False),
        (patient(IDLE, lan=LanSeen(dark_at=NOW, dark_since=NOW - 9000)), False),
    ],
)
def test_a_probe_is_due(made, due):
    assert made.probe_due(CONFIG, NOW) is due


def test_it_can_be_switched_off():
    off = replace(CONFIG, watch=WatchSettings(probe_seconds=0))
    assert not patient(IDLE, last_answer=0.0).probe_due(off, NOW)


def test_the_next_one_is_an_hour_away_and_what_is_learnt_is_not_asked_again():
    made = patient(IDLE, ask_at=NOW)
    made.probed(CONFIG, NOW)
    assert not made.probe_due(CONFIG, NOW + HOUR - 1)
    assert made.probe_due(CONFIG, NOW + HOUR)
    made.learnt()
    made.last_answer = NOW + HOUR
    assert not made.probe_due(CONFIG, NOW + HOUR)


def test_a_soft_hang_looks_like_work_until_a_probe_tells():
    made = patient(SOFT, SOFT)
    assert made.probe_due(CONFIG, NOW)  # what the interface completes for the BMC is no sign of life
    made.gave_up()
    told = show(made, SOFT)
    assert told["trigger"].endswith("kipmi.high_cpu") and told["payload"]["signature"] == "given_up"
    assert not made.probe_due(CONFIG, NOW + 2 * HOUR)  # known by now
    assert show(made, SOFT) is None
    for _ in range(CONFIG.watch.recover_polls - 1):
        assert show(made, POLLED_LITTLE) is None
    assert show(made, POLLED_LITTLE)["trigger"].endswith("kipmi.recovered")


def test_brisk_work_puts_a_probe_off_and_slow_work_does_not():
    made = patient(IDLE)
    show(made, POLLED_LITTLE, NOW)
    assert not made.probe_due(CONFIG, NOW + HOUR - 1)
    show(made, SLOW, NOW + 60)
    assert made.probe_due(CONFIG, NOW + HOUR)


def show(made, window, now=NOW):
    """The trigger that one more window causes."""
    lines = made.examine(after(made.samples[-1], **window), CONFIG, now, held=False, settle_seconds=0.0)
    return next((line for line in lines if "trigger" in line), None)


def test_samples_of_another_boot_or_an_older_one_are_forgotten():
    made = patient(IDLE, IDLE)
    made.examine(replace(FIRST, boot_id="another", at=5.0), CONFIG, NOW, held=False, settle_seconds=0.0)
    assert len(made.samples) == 1
    made.examine(replace(FIRST, boot_id="another", at=5.0), CONFIG, NOW, held=False, settle_seconds=0.0)
    assert len(made.samples) == 1
    for second in range(1000):
        made.examine(
            replace(FIRST, boot_id="another", at=6.0 + 10 * second),
            CONFIG,
            NOW,
            held=False,
            settle_seconds=0.0,
        )
    assert len(made.samples) < 20
