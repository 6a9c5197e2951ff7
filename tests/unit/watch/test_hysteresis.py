from bmc_healer.config.settings import WatchSettings
from bmc_healer.watch.hysteresis import Event, Illness, acknowledge, advance
from bmc_healer.watch.signature import judge

from .samples import FIRST, IDLE, POLLED, SLOW, STUCK, STUCK_BY_INTERRUPT, series

SETTINGS = WatchSettings()
NOW = 1_795_000_000.0
BOOTING = 600.0
WELL = judge(series(POLLED, POLLED, POLLED), SETTINGS)
QUIET = judge(series(IDLE, IDLE, IDLE), SETTINGS)
ILL = judge(series(STUCK, STUCK, STUCK), SETTINGS)
STUCK_ONCE = judge(series(POLLED, STUCK), SETTINGS)
SILENT = judge(series(STUCK_BY_INTERRUPT, STUCK_BY_INTERRUPT, STUCK_BY_INTERRUPT), SETTINGS)
SPINNING = judge(series(*[{"kipmi": 95.0, "completed": 40}] * 6), SETTINGS)


def step(illness, look, now=NOW, lan="alive", held=False, settle=0.0):
    return advance(
        illness,
        look,
        lan,
        host="db01",
        boot_id=FIRST.boot_id,
        held=held,
        settle_seconds=settle,
        booting_seconds=BOOTING,
        settings=SETTINGS,
        now=now,
    )


def events(looks, illness=None, lan="alive", seconds=10.0):
    illness, told = illness or Illness(), []
    for number, look in enumerate(looks):
        illness, event = step(illness, look, NOW + number * seconds, lan)
        told.append(event)
    return illness, [event.value for event in told if event is not Event.NONE]


def test_an_illness_is_told_once_and_its_end_once():
    _, told = events([WELL, ILL, ILL, ILL, ILL, WELL, WELL, WELL])
    assert told == ["onset", "recovered"]


def test_kipmi_with_load_and_without_it_are_two_triggers_with_one_key_each():
    illness, _ = step(Illness(), ILL)
    assert illness.incident.trigger == "kipmi.high_cpu"
    assert illness.incident.key == f"db01:b00b00b0:{int(NOW)}"
    illness, _ = step(illness, SILENT, NOW + 10)
    assert illness.incident.key == f"db01:b00b00b0:{int(NOW)}"
    assert step(Illness(), SILENT)[0].incident.trigger == "bmc.unresponsive"


def test_flapping_is_one_illness():
    _, told = events([ILL, WELL, ILL, WELL, ILL, WELL, ILL, WELL, WELL])
    assert told == ["onset", "recovered"]


def test_silence_is_no_recovery_from_a_hang():
    illness, told = events([ILL] + [QUIET] * 20)
    assert told == ["onset"]
    _, told = events([QUIET, WELL], illness)
    assert told == ["recovered"]


def test_a_spinning_kipmi_that_calms_down_has_recovered():
    _, told = events([SPINNING, QUIET, QUIET])
    assert told == ["onset", "recovered"]


def test_a_trigger_is_repeated_until_somebody_takes_it_up():
    illness, event = step(Illness(), ILL)
    illness, event = step(illness, ILL, NOW + 599)
    assert event is Event.NONE
    illness, event = step(illness, QUIET, NOW + 601)
    assert event is Event.REPEAT
    illness = acknowledge(illness, frozenset({"another"}))
    illness, event = step(illness, ILL, NOW + 1202)
    assert event is Event.REPEAT
    illness = acknowledge(illness, frozenset({illness.incident.key}))
    assert step(illness, ILL, NOW + 9999)[1] is Event.NONE


def test_a_clock_that_was_set_back_since_keeps_nothing_back():
    illness, _ = step(Illness(), ILL)
    illness, event = step(illness, ILL, NOW - 86400)
    assert event is Event.REPEAT
    assert step(illness, ILL, NOW - 86400 + 599)[1] is Event.NONE
    pending = Illness(pending_since=NOW)
    for seconds in (0, BOOTING - 1):
        pending, event = step(pending, ILL, NOW - 86400 + seconds, lan="unknown")
        assert event is Event.NONE
    assert step(pending, ILL, NOW - 86400 + BOOTING, lan="unknown")[1] is Event.ONSET


def test_a_relapse_after_it_was_taken_up_is_another_illness():
    illness, _ = step(Illness(), ILL)
    first = illness.incident.key
    illness = acknowledge(illness, frozenset({first}))
    illness, told = events([ILL, WELL, STUCK_ONCE], illness)
    assert (told, illness.incident.key) == ([], first)
    illness, event = step(illness, ILL, NOW + 60)
    assert (event, illness.incident) == (Event.RECOVERED, None)
    illness, event = step(illness, ILL, NOW + 70, lan="booting")  # by the reset that the heal made
    assert event is Event.NONE
    illness, event = step(illness, ILL, NOW + 700)
    assert event is Event.ONSET
    assert illness.incident.key != first


def test_a_hang_behind_honest_work_that_was_looked_at_is_another_illness():
    busy, _ = events([SPINNING])
    taken_up = acknowledge(busy, frozenset([busy.incident.key]))
    assert events([SPINNING] * 100, taken_up)[1] == []
    assert events([SPINNING, STUCK_ONCE, SPINNING], taken_up)[1] == []  # a window alone is nothing
    illness, told = events([SPINNING, ILL, ILL], taken_up, seconds=60.0)
    assert told == ["recovered", "onset"]
    assert illness.incident.key != busy.incident.key and illness.incident.silent


def test_a_hang_that_was_taken_up_is_told_once_however_long_it_lasts():
    hung, _ = events([ILL])
    taken_up = acknowledge(hung, frozenset([hung.incident.key]))
    assert events([ILL] * 100, taken_up)[1] == []
    assert events([ILL, SPINNING, ILL, ILL], taken_up, seconds=60.0)[1] == ["recovered", "onset"]


def test_the_lan_side_decides():
    assert events([ILL] * 200, lan="booting")[1] == []
    assert events([ILL], lan="dark")[1] == ["onset"]
    assert events([ILL] * 60, lan="unknown")[1] == []
    assert events([ILL] * 61, lan="unknown")[1] == ["onset"]
    assert events([SPINNING], lan="booting")[1] == ["onset"]  # it answers, so it does not reboot


def test_a_held_illness_is_told_when_the_outage_is_over():
    illness, event = step(Illness(), ILL, held=True)
    assert (event, illness.pending_since) == (Event.NONE, NOW)
    assert step(illness, ILL, NOW + 60)[1] is Event.ONSET
    assert step(illness, WELL, NOW + 60) == (Illness(), Event.NONE)


def test_a_fleet_gives_others_the_time_to_fall_ill_as_well():
    illness, event = step(Illness(), ILL, settle=30.0)
    assert event is Event.NONE
    assert step(illness, ILL, NOW + 29, settle=30.0)[1] is Event.NONE
    assert step(illness, ILL, NOW + 30, settle=30.0)[1] is Event.ONSET


def test_a_slow_bmc_is_left_alone():
    slow = judge(series(*[SLOW] * 30), SETTINGS)
    assert events([slow] * 30)[1] == []
