"""Who watches whom: every host has one owner for any set of sensors, and few hosts move."""

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bmc_healer.state.keys import FLEET_PARTS, fleet_part
from bmc_healer.watch.share import owns, share_of
from bmc_healer.watch.start import PER_SECOND, start_delays

HOSTS = [f"db{number:05}" for number in range(10_000)]
SENSORS = st.sets(st.text(min_size=1, max_size=8), min_size=1, max_size=8)


def owners(sensors):
    """Part of the fleet to those that watch it."""
    shares = {sensor: share_of(sensor, sensors) for sensor in sensors}
    return {
        part: [sensor for sensor, share in shares.items() if share is None or part in share]
        for part in FLEET_PARTS
    }


@given(SENSORS)
def test_every_part_has_one_owner(sensors):
    assert all(len(found) == 1 for found in owners(sensors).values())


@given(SENSORS, st.text(min_size=1, max_size=8))
def test_only_what_the_one_that_comes_takes_moves(sensors, comes):
    before, after = owners(sensors), owners(sensors | {comes})
    assert {after[part][0] for part in FLEET_PARTS if before[part] != after[part]} <= {comes}


def test_one_that_is_alone_watches_everything():
    assert share_of("node1", []) is None is share_of("node1", ["node1"])
    assert all(owns(None, host) for host in HOSTS)


@pytest.mark.parametrize("count", [2, 3, 4])
def test_the_shares_are_of_similar_size(count):
    sensors = [f"st2-{number}.example.com" for number in range(count)]
    sizes = [sum(owns(share_of(sensor, sensors), host) for host in HOSTS) for sensor in sensors]
    assert sum(sizes) == len(HOSTS)
    assert max(sizes) < 1.5 * len(HOSTS) / count


def test_a_host_is_in_one_part_whatever_its_case():
    assert fleet_part("DB01") == fleet_part("db01") in FLEET_PARTS
    assert {fleet_part(host) for host in HOSTS} == set(FLEET_PARTS)


def test_those_last_seen_ill_are_looked_at_first_and_all_within_minutes():
    ill = set(HOSTS[5000:5100])
    delays = start_delays(HOSTS, ill, random.Random(7))
    assert set(delays) == set(HOSTS)
    assert set(sorted(delays, key=delays.get)[:100]) == ill
    assert max(delays.values()) < 240
    some = sorted(delays.values())
    assert all(later - before >= 0.999 / PER_SECOND for before, later in pairwise(some))
    assert list(delays) != list(start_delays(HOSTS, ill, random.Random(8)))
