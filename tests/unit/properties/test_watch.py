"""The watches' state machines: one incident per illness, and nothing told that was not seen."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

from bmc_healer.config.settings import Config, HostSettings, Mode, WatchSettings
from bmc_healer.watch.hysteresis import Event, Illness, acknowledge, advance
from bmc_healer.watch.lan import LanSeen, seen, verdict
from bmc_healer.watch.mass import FLEET, assess, groups_out
from bmc_healer.watch.oob import LanPatient, confirmed, swept
from bmc_healer.watch.oob import acknowledge as acknowledge_lan
from bmc_healer.watch.patient import Patient
from bmc_healer.watch.signature import judge
from tests.unit.properties.strategies import whatever
from tests.unit.watch.samples import FIRST, after, client, series

SETTINGS = WatchSettings()
NOW = 1_795_000_000.0
some_windows = st.fixed_dictionaries(
    {
        "seconds": st.sampled_from([10.0, 10.0, 30.0]),
        "kipmi": st.sampled_from([0.0, 5.0, 20.0, 60.0, 100.0]),
        "completed": st.sampled_from([0, 0, 4, 40]),
        "timeouts": st.sampled_from([0, 300, 900]),
        "hosed": st.sampled_from([0, 0, 1]),
        "clients": st.sampled_from([(), (), (client(),), (client(age=5.0),)]),
    }
)
looks = st.lists(some_windows, min_size=1, max_size=5).map(lambda some: judge(series(*some), SETTINGS))
turns = st.lists(
    st.tuples(
        looks,
        st.sampled_from(["alive", "dark", "unknown", "booting"]),
        st.sampled_from([False, False, False, True]),  # a mass outage holds
        st.sampled_from([False, False, True]),  # somebody acknowledges
        st.sampled_from([10.0, 30.0, 700.0]),
    ),
    max_size=25,
)


@whatever(turns)
def test_an_illness_begins_once_ends_once_and_is_repeated_only_while_nobody_took_it_up(some):
    illness, now, told_at, keys = Illness(), NOW, 0.0, set()
    for look, lan, held, taken, seconds in some:
        now += seconds
        before, pending = illness.incident, illness.pending_since
        illness, event = advance(
            illness,
            look,
            lan,
            host="db01",
            boot_id=FIRST.boot_id,
            held=held,
            settle_seconds=30.0,
            booting_seconds=600.0,
            settings=SETTINGS,
            now=now,
        )
        incident = illness.incident
        if event is Event.ONSET:
            assert before is None and look.signature is not None and not held
            assert pending is not None and now - pending >= 30.0, "others had time to fall ill as well"
            assert look.answering or lan in ("alive", "dark") or (lan == "unknown" and now - pending >= 600)
            assert incident.key not in keys
            keys.add(incident.key)
            told_at = now
        elif event is Event.REPEAT:
            assert before.key == incident.key and not before.acknowledged
            assert now - told_at >= SETTINGS.repeat_seconds
            told_at = now
        elif event is Event.RECOVERED:
            assert before is not None and incident is None
            assert look.signature is None or illness.pending_since == now, "it begins again: another illness"
            assert not before.silent or look.answering or before.acknowledged or look.signature is None
        else:
            assert (before and before.key) == (incident and incident.key)
        if taken and incident is not None:
            illness = acknowledge(illness, frozenset({incident.key}))


@whatever(st.integers(0, 60), st.integers(0, 200))
def test_silence_alone_is_no_recovery_from_a_hang(quiet_looks, repeats):
    """A hung BMC that nobody asks shows no symptom."""
    stuck = judge(series(*[{"kipmi": 20.0, "timeouts": 900}] * 3), SETTINGS)
    quiet = judge(series({}, {}, {}), SETTINGS)
    illness, event = Illness(pending_since=NOW - 60), Event.NONE
    for number, look in enumerate([stuck, *[quiet] * quiet_looks]):
        illness, event = advance(
            illness,
            look,
            "alive",
            host="db01",
            boot_id="b",
            held=False,
            settle_seconds=30.0,
            booting_seconds=600.0,
            settings=SETTINGS,
            now=NOW + 10 * number + repeats,
        )
        assert event is not Event.RECOVERED and illness.incident is not None


@whatever(
    st.sampled_from([{}, {"kipmi": 5.0, "completed": 40, "timeouts": 300}, {"kipmi": 60.0, "completed": 4}]),
    st.integers(2, 12),
)
def test_looking_at_a_host_that_is_well_changes_nothing(window, count):
    """What the simulated year leaves out."""
    patient = Patient(HostSettings("db01", "10.0.0.5", "ssh"), last_answer=NOW)
    sample = FIRST
    for number in range(count):
        sample = after(sample, **window)
        assert (
            patient.examine(sample, Config(Mode.AUTO), NOW + 10 * number, held=False, settle_seconds=30) == []
        )
    assert patient.illness == Illness()


@whatever(st.floats(0, 10_000))
def test_sweeping_a_bmc_that_answers_changes_nothing_but_when_it_answered(later):
    well = LanPatient(LanSeen(alive_at=NOW), answered=True)
    swept_once, event = swept(well, True, SETTINGS, NOW + later)
    assert event is Event.NONE
    assert swept_once == replace(well, lan=LanSeen(alive_at=NOW + later))


sweeps = st.lists(st.tuples(st.booleans(), st.sampled_from([60.0, 700.0]), st.booleans()), max_size=40)


@whatever(sweeps, st.booleans())
def test_only_a_bmc_that_has_answered_and_fails_in_a_row_is_a_suspect(some, answered):
    patient, now, row, ever = LanPatient(answered=answered), NOW, 0, answered
    for alive, seconds, taken in some:
        now += seconds
        before = patient.incident
        patient, event = swept(patient, alive, SETTINGS, now)
        row, ever = 0 if alive else row + 1, ever or alive
        assert patient.suspect(SETTINGS) == (
            ever and row >= SETTINGS.bmc_failures and patient.incident is None
        )
        assert (event is Event.RECOVERED) == (before is not None and patient.incident is None)
        assert event is not Event.RECOVERED or (alive and row == 0)
        assert event is not Event.REPEAT or (not alive and not before.acknowledged)
        assert patient.incident is None or patient.recovered is None, "it is ill, or it is well again"
        assert patient.recovered is not None or event is not Event.RECOVERED, "kept until it is taken up"
        if patient.suspect(SETTINGS):
            patient = confirmed(patient, "db01", now)
        if taken and patient.incident:
            patient = acknowledge_lan(patient, frozenset({patient.incident.key}))


@whatever(st.lists(st.tuples(st.booleans(), st.floats(1, 900)), max_size=20), st.floats(0, 2000))
def test_a_lan_that_was_dark_lately_counts_as_booting(pings, wait):
    lan, now = LanSeen(), NOW
    for alive, seconds in pings:
        now += seconds
        lan = seen(lan, alive, now)
    now += wait
    said = verdict(lan, 600.0, 20.0, now)
    if said == "alive":
        assert lan.alive_at is not None and now - lan.alive_at <= 20.0 and not lan.dark_now
        assert lan.dark_at is None or now - lan.dark_at >= 600.0
    if said == "dark":
        assert lan.dark_now and now - lan.dark_since >= 600.0


# Many at once

racks = st.dictionaries(
    st.sampled_from([f"h{n}" for n in range(30)]),
    st.sampled_from([(), ("rack=a",), ("rack=b",), ("rack=a", "env=p")]),
    min_size=12,
    max_size=30,
)
ills = st.dictionaries(
    st.sampled_from([f"h{n}" for n in range(32)]),
    st.sampled_from([NOW, NOW - 100, NOW - 900]),
    min_size=4,
    max_size=30,
)
masses = st.builds(
    replace,
    st.just(SETTINGS),
    mass_outage_hosts=st.integers(1, 8),
    mass_outage_share=st.sampled_from([0.0, 0.3, 0.5, 1.0]),
)


@whatever(racks, ills, masses)
def test_a_group_is_out_when_enough_of_it_fell_ill_within_one_window(members, ill, settings):
    """Counted once more the plain way."""
    labels = {FLEET, *(label for own in members.values() for label in own)}
    expected = {}
    for label in labels:
        group = [name for name, own in members.items() if label == FLEET or label in own]
        times = [ill[name] for name in group if name in ill]
        window = settings.mass_outage_window_seconds
        most = max((sum(start <= t <= start + window for t in times) for start in times), default=0)
        if most >= max(settings.mass_outage_hosts, settings.mass_outage_share * len(group)):
            expected[label] = tuple(sorted(name for name in group if name in ill))
    assert groups_out(members, ill, settings) == expected


@whatever(racks, ills, ills, masses)
def test_an_outage_begins_once_and_ends_when_half_of_it_has_been_back_for_a_window(
    members, first, second, settings
):
    window = settings.mass_outage_window_seconds
    began = assess(members, first, {}, settings, NOW)
    assert not began.ended and {o.label for o in began.began} == set(began.active)
    again = assess(members, first, began.active, settings, NOW + 60)
    assert again.began == () and again.ended == () and again.active == began.active
    calm = set()
    for label in began.active:
        group = [n for n, own in members.items() if label in (FLEET, *own)]
        enough = max(settings.mass_outage_hosts, settings.mass_outage_share * len(group)) / 2
        if sum(name in second for name in group) < enough:
            calm.add(label)
    later = assess(members, second, began.active, settings, NOW + 120)
    last = assess(members, second, later.active, settings, NOW + 120 + window - 1)
    assert later.ended == last.ended == ()
    over = assess(members, second, last.active, settings, NOW + 120 + window)
    assert {outage.label for outage in over.ended} == calm
    broken = assess(members, first, last.active, settings, NOW + 120 + window)
    assert broken.ended == () and all(broken.active[label].calm_since is None for label in began.active)
