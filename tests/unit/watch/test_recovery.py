"""What is over is told until somebody has taken it up, a few hosts at a time."""

from dataclasses import replace

import pytest

from bmc_healer.config.settings import WatchSettings
from bmc_healer.watch.hysteresis import Incident
from bmc_healer.watch.recovery import AGAIN_AT_ONCE, again, kept, lines, over

SETTINGS = WatchSettings()
NOW = 1_795_000_000.0
OPEN = Incident("db01:oob:1", "db01", "bmc.unresponsive", "silent_lan", True, NOW - 600, NOW - 300, True)
OVER = over(OPEN, NOW)


def test_it_has_a_key_of_its_own_that_nobody_has_acknowledged():
    assert (OVER.key, OVER.acknowledged, OVER.recovered_at) == ("db01:oob:1:recovered", False, NOW)


def test_it_is_read_back_as_over_and_an_open_incident_as_open():
    assert kept(OVER.document()) == (None, OVER)
    assert kept(OPEN.document()) == (OPEN, None)
    before = {name: value for name, value in OPEN.document().items() if name != "recovered_at"}
    assert kept(before) == (OPEN, None), "kept by a sensor that knew nothing of this"
    assert kept(None) == kept({"of": "another version"}) == (None, None)


@pytest.mark.parametrize(
    ("trigger", "told", "path"),
    [("bmc.unresponsive", "bmc.recovered", "oob"), ("kipmi.high_cpu", "kipmi.recovered", None)],
)
def test_it_is_kept_before_it_is_told_and_lasted_as_long_however_late_it_is_told(trigger, told, path):
    recovered = replace(OVER, trigger=trigger)
    store, line = lines(recovered, "oob", NOW + 9000)
    assert store == {"store": {"incident:db01": recovered.document()}}
    assert line["trigger"] == f"bmc_healer.{told}"
    payload = line["payload"]
    assert (payload["key"], payload["seconds"], payload.get("path")) == ("db01:oob:1:recovered", 600.0, path)


def test_it_is_told_again_after_a_while():
    assert again([OVER], SETTINGS, NOW + SETTINGS.repeat_seconds - 1) == []
    later = NOW + SETTINGS.repeat_seconds
    assert again([OVER], SETTINGS, later) == [replace(OVER, told_at=later)]
    assert again([OVER], SETTINGS, NOW - 86400) != [], "the clock was set back since"


def test_ten_thousand_that_nobody_takes_up_are_told_again_in_turns():
    waiting = {f"h{n}": replace(OVER, host=f"h{n}", told_at=NOW + n / 1e6) for n in range(10_000)}
    told, now = [], NOW + SETTINGS.repeat_seconds + 1
    for _ in range(500):
        found = again(waiting.values(), SETTINGS, now)
        assert len(found) == AGAIN_AT_ONCE == 20
        told += [incident.host for incident in found]
        waiting |= {incident.host: incident for incident in found}
        now += 60
    assert told == [f"h{n}" for n in range(10_000)]
