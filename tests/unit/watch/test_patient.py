"""When a probe may be sent: rarely, and never to a BMC that may hang or boot."""

from dataclasses import replace

import pytest

from bmc_healer.config.settings import Config, HostSettings, Mode, WatchSettings
from bmc_healer.watch.hysteresis import Illness
from bmc_healer.watch.lan import LanSeen
from bmc_healer.watch.patient import Patient

from .samples import FIRST, IDLE, STUCK, client, series

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
