from bmc_healer.config.settings import WatchSettings
from bmc_healer.watch.mass import assess, groups_out, held
from bmc_healer.watch.outages import Outages

from .collect import Said

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


def rounds(active, *found, start=NOW, every=60):
    """What each of these looks, a minute apart, changes: names of who is ill."""
    changes = []
    for number, names in enumerate(found):
        changes.append(assess(FLEET, ill(names), active, SETTINGS, start + number * every))
        active = changes[-1].active
    return changes


def test_an_outage_ends_when_less_than_half_of_what_began_it_is_ill_for_a_window():
    active = assess(FLEET, ill(rack(2)), {}, SETTINGS, NOW).active
    *going, last = rounds(active, *[rack(2, 2)] * 6)
    assert [change.active["rack=r2"].calm_since for change in going] == [NOW] * 5
    assert all(change.ended == () for change in going)
    assert (last.active, [o.label for o in last.ended]) == ({}, ["rack=r2"])


def test_half_of_what_began_it_is_enough_to_go_on():
    active = assess(FLEET, ill(rack(2)), {}, SETTINGS, NOW).active
    assert all(change.active == active for change in rounds(active, *[rack(2, 3)] * 20))


def test_a_break_begins_the_window_anew():
    active = assess(FLEET, ill(rack(2)), {}, SETTINGS, NOW).active
    *going, last = rounds(active, *[[]] * 5, rack(2), *[[]] * 6)
    assert all(change.ended == change.began == () for change in going)
    assert [o.calm_since for o in last.ended] == [NOW + 360]


def test_a_clock_that_is_set_back_makes_the_window_no_longer():
    active = rounds(assess(FLEET, ill(rack(2)), {}, SETTINGS, NOW).active, [])[0].active
    *going, last = rounds(active, *[[]] * 6, start=NOW - 86400)
    assert all(change.active for change in going) and last.active == {}


class TestAFlappingSwitch:
    """Dark for four sweeps, and back for one."""

    def sweeps(self, out, dark, start):
        for number, is_dark in enumerate(dark):
            sick = ill(rack(2), NOW) if is_dark else {}
            out.assess(FLEET, sick, sick, start + 60 * number)

    def test_is_told_once_in_an_hour(self):
        said = Said()
        self.sweeps(Outages("oob", SETTINGS, {}, said), [True, True, True, True, False] * 12, NOW)
        assert (said.names(), said.deleted()) == (["bmc.mass_outage"], [])
        assert said.stored()["mass:rack=r2"]["calm_since"] == NOW + 59 * 60

    def test_ends_once_it_stays_up(self):
        said = Said()
        out = Outages("oob", SETTINGS, {}, said)
        self.sweeps(out, [True, False, True] + [False] * 5, NOW)
        assert out.hold(("rack=r2",)) and said.deleted() == []
        out.assess(FLEET, {}, {}, NOW + 8 * 60)
        assert not out.hold(("rack=r2",)) and said.deleted() == ["mass:rack=r2"]
        assert [line["mass"]["until"] for line in said.lines if "mass" in line][-1] is None
        self.sweeps(out, [True], NOW + 9 * 60)
        assert said.names() == ["bmc.mass_outage"] * 2

    def test_a_restart_neither_ends_it_nor_begins_the_window_anew(self):
        first = Said()
        self.sweeps(Outages("oob", SETTINGS, {}, first), [True, False, False], NOW)
        said = Said()
        out = Outages("oob", SETTINGS, first.stored(), said)
        self.sweeps(out, [False] * 3, NOW + 3 * 60)
        assert said.deleted() == []
        self.sweeps(out, [False], NOW + 6 * 60)
        assert (said.names(), said.deleted()) == ([], ["mass:rack=r2"])

    def test_what_an_older_version_kept_ends_as_well(self):
        kept = {"key": "mass:rack=r2:1", "label": "rack=r2", "since": NOW, "hosts": rack(2)}
        said = Said()
        out = Outages("oob", SETTINGS, {"mass:rack=r2": kept}, said)
        self.sweeps(out, [False] * 5, NOW)
        assert out.hold(("rack=r2",))
        self.sweeps(out, [False], NOW + 300)
        assert said.deleted() == ["mass:rack=r2"]
