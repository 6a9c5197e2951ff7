from bmc_healer.config.settings import WatchSettings
from bmc_healer.watch.mass import assess, groups_out, held

SETTINGS = WatchSettings()  # 30 % and at least 5, within 300 s
NOW = 1_795_000_000.0
FLEET = {f"h{n:02}": (f"rack=r{n // 20}",) for n in range(100)}


def ill(names, since=NOW):
    return dict.fromkeys(names, since)


def rack(number, count=20):
    return [f"h{n:02}" for n in range(number * 20, number * 20 + count)]


def test_a_rack_that_falls_silent_is_one_event():
    change = assess(FLEET, ill(rack(2, 6)), {}, SETTINGS, NOW)
    assert [(o.label, len(o.hosts)) for o in change.began] == [("rack=r2", 6)]
    assert held(("rack=r2",), change.active)
    assert not held(("rack=r1",), change.active)


def test_the_fleet_is_told_instead_of_its_racks():
    change = assess(FLEET, ill(rack(0) + rack(1)), {}, SETTINGS, NOW)
    assert [o.label for o in change.began] == ["fleet"]
    assert held((), change.active)
    assert assess(FLEET, ill(rack(0) + rack(1)), change.active, SETTINGS, NOW + 60).began == ()


def test_below_share_or_number_nothing_is_told():
    assert assess(FLEET, ill(rack(2, 5)), {}, SETTINGS, NOW).began == ()
    few = {f"h{n}": ("rack=a",) for n in range(4)}
    assert assess(few, ill(few), {}, SETTINGS, NOW).began == ()


def test_those_that_fell_ill_one_by_one_are_no_mass_event():
    times = {name: NOW - 3600 * n for n, name in enumerate(rack(2))}
    assert groups_out(FLEET, times, SETTINGS) == {}


def test_an_outage_ends_at_half_of_what_began_it():
    active = assess(FLEET, ill(rack(2)), {}, SETTINGS, NOW).active
    assert assess(FLEET, ill(rack(2, 3)), active, SETTINGS, NOW).active
    change = assess(FLEET, ill(rack(2, 2)), active, SETTINGS, NOW)
    assert (change.active, [o.label for o in change.ended]) == ({}, ["rack=r2"])
