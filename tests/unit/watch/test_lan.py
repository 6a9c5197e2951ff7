from itertools import pairwise

import pytest

from bmc_healer.watch.lan import LanSeen, memory, seen, transition, verdict


def pings(*answers, step=10.0):
    lan = LanSeen()
    for number, alive in enumerate(answers):
        lan = seen(lan, alive, number * step)
    return lan


@pytest.mark.parametrize(
    ("answers", "now", "says"),
    [
        ((), 0.0, "unknown"),
        ((True,), 0.0, "alive"),
        ((True,), 31.0, "booting"),  # an old answer is none
        ((True, False), 10.0, "booting"),
        ((True, False), 609.0, "booting"),
        ((True, False), 610.0, "dark"),
        ((True, False, True), 25.0, "booting"),  # LAN is back, KCS may need minutes
        ((True, False, *[True] * 60), 610.0, "alive"),
    ],
)
def test_verdict(answers, now, says):
    assert verdict(pings(*answers), 600.0, 30.0, now) == says


def test_the_silence_keeps_its_start():
    lan = pings(True, False, False, False)
    assert (lan.dark_since, lan.dark_at, lan.dark_now) == (10.0, 30.0, True)
    assert pings(True, False, True, False).dark_since == 30.0
    assert memory(lan) == {"lan_alive_at": 0.0, "lan_dark_at": 30.0, "lan_dark_since": 10.0}


def test_only_changes_are_worth_remembering():
    states = [pings(*answers) for answers in ((), (True,), (True, True), (True, False), (True, False, False))]
    told = [transition(before, after) for before, after in pairwise(states)]
    assert told == [True, False, True, False]
