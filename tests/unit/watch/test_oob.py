from dataclasses import replace

from bmc_healer.config.settings import WatchSettings
from bmc_healer.watch.hysteresis import Event
from bmc_healer.watch.lan import LanSeen
from bmc_healer.watch.oob import LanPatient, acknowledge, confirmed, refuted, swept, taken_over

SETTINGS = WatchSettings()
NOW = 1_795_000_000.0


def sweeps(*answers, patient=None, step=60.0):
    patient, told = patient or LanPatient(), []
    for number, alive in enumerate(answers):
        patient, event = swept(patient, alive, SETTINGS, NOW + number * step)
        told.append(event)
    return patient, told


def test_three_silent_sweeps_make_a_suspect():
    assert not sweeps(True, False, False)[0].suspect(SETTINGS)
    assert sweeps(True, False, False, False)[0].suspect(SETTINGS)
    assert not sweeps(True, False, False, True, False)[0].suspect(SETTINGS)


def test_who_never_answered_is_no_suspect():
    assert not sweeps(*[False] * 10)[0].suspect(SETTINGS)


def test_who_was_silent_before_a_restart_has_its_sweeps_counted_and_one_more_decides():
    def after(seconds):
        return taken_over(LanSeen(NOW - 900, NOW, NOW), None, SETTINGS, NOW + seconds)

    assert [after(seconds).failures for seconds in (0, 60, 120, 9000)] == [0, 1, 2, 2]
    assert not any(after(seconds).suspect(SETTINGS) for seconds in (0, 120, 9000))
    patient, _ = swept(after(120), False, SETTINGS, NOW + 121)
    assert patient.suspect(SETTINGS) and patient.lan.dark_since == NOW
    assert taken_over(LanSeen(NOW, NOW - 60, NOW - 60), None, SETTINGS, NOW + 900).failures == 0


def test_who_never_answered_an_earlier_watch_is_unknown_to_this_one():
    assert taken_over(None, None, SETTINGS, NOW) == LanPatient()


def test_a_refuted_suspicion_starts_again():
    patient = refuted(sweeps(True, False, False, False)[0], NOW + 200)
    assert (patient.failures, patient.lan.dark_now) == (0, False)


def test_an_incident_is_repeated_and_ends_after_two_answers():
    patient = confirmed(sweeps(True, False, False, False)[0], "db01", NOW)
    assert patient.incident.since == NOW + 60
    assert not patient.suspect(SETTINGS)
    silent, told = sweeps(*[False] * 20, patient=patient)
    assert told.count(Event.REPEAT) == 1
    patient, told = sweeps(True, False, True, True, patient=silent)
    assert told[-1] is Event.RECOVERED
    assert told.count(Event.RECOVERED) == 1
    assert patient.incident is None


def test_an_acknowledged_incident_is_not_repeated():
    patient = confirmed(sweeps(True, False, False, False)[0], "db01", NOW)
    patient = replace(patient, incident=replace(patient.incident, acknowledged=True))
    assert set(sweeps(*[False] * 30, patient=patient)[1]) == {Event.NONE}


def recovered():
    patient = confirmed(sweeps(True, False, False, False)[0], "db01", NOW)
    return sweeps(True, True, patient=patient)[0]


def test_what_is_over_is_kept_until_somebody_takes_it_up():
    patient = recovered()
    assert (patient.incident, patient.recovered.key) == (None, f"db01:oob:{int(NOW)}:recovered")
    assert sweeps(*[True] * 9, patient=patient)[0].recovered == patient.recovered
    assert acknowledge(patient, frozenset({f"db01:oob:{int(NOW)}"})) == patient, "that was the silence"
    assert acknowledge(patient, frozenset({patient.recovered.key})).recovered is None


def test_what_is_over_is_no_news_once_the_bmc_falls_silent_again():
    patient = sweeps(*[False] * SETTINGS.bmc_failures, patient=recovered())[0]
    assert patient.suspect(SETTINGS)
    again = confirmed(patient, "db01", NOW + 900)
    assert again.recovered is None and again.incident.key == f"db01:oob:{int(NOW) + 900}"


def test_who_was_over_before_a_restart_has_answered_and_is_still_over():
    over = recovered().recovered
    patient = taken_over(None, None, SETTINGS, NOW, recovered=over)
    assert (patient.answered, patient.incident, patient.recovered) == (True, None, over)
