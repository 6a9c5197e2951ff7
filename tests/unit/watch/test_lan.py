from itertools import pairwise

import pytest

from bmc_healer.state.keys import FLEET_PARTS, fleet_part
from bmc_healer.watch.lan import LanSeen, documents, of_host, seen, transition, verdict


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
        ((True, False, *[True] * 61), 620.0, "alive"),
    ],
)
def test_verdict(answers, now, says):
    assert verdict(pings(*answers), 600.0, 30.0, now) == says


def test_the_silence_keeps_its_start():
    lan = pings(True, False, False, False)
    assert (lan.dark_since, lan.dark_at, lan.dark_now) == (10.0, 30.0, True)
    assert pings(True, False, True, False).dark_since == 30.0


def test_a_silence_that_began_before_a_restart_ends_with_the_first_answer():
    """What is kept of it is five hours old, and the BMC may have come up a second ago."""
    before = LanSeen(alive_at=0.0, dark_at=60.0, dark_since=60.0)
    back = seen(before, True, 18_000.0)
    assert (back.dark_since, back.dark_at, back.dark_now) == (60.0, 18_000.0, False)
    assert verdict(back, 600.0, 30.0, 18_000.0) == "booting"
    assert seen(back, True, 18_010.0).dark_at == 18_000.0


def test_only_changes_are_worth_remembering():
    states = [pings(*answers) for answers in ((), (True,), (True, True), (True, False), (True, False, False))]
    told = [transition(before, after) for before, after in pairwise(states)]
    assert told == [True, False, True, False]


def test_what_was_seen_of_a_host_is_found_again_in_the_document_of_its_part_of_the_fleet():
    hosts = {f"h{number}": pings(*[True] * number, False) for number in range(200)}
    kept = documents(FLEET_PARTS, hosts.items())
    assert len(kept) == len(FLEET_PARTS) and sum(map(len, kept.values())) == 200
    assert {host: of_host(kept, host) for host in hosts} == hosts
    assert of_host(kept, "other") is None
    part = fleet_part("h7")
    assert documents({part}, hosts.items()) == {f"lan:{part}": kept[f"lan:{part}"]}


@pytest.mark.parametrize("times", [{}, [1.0], None, "h1"])
def test_what_another_version_kept_is_not_known(times):
    assert of_host({f"lan:{fleet_part('h1')}": {"h1": times}}, "h1") is None
