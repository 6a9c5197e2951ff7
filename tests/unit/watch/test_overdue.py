from pathlib import Path

import yaml

from bmc_healer.config.settings import WatchSettings
from bmc_healer.executions import ExecutionInfo
from bmc_healer.state.documents import Heartbeat, Lock
from bmc_healer.state.lost import LostHeal
from bmc_healer.state.outbox import Message
from bmc_healer.watch.bridge import CHECK_SECONDS
from bmc_healer.watch.overdue import Overdue, Telling, overdue, without_lock
from bmc_healer.watch.untold import Untold, untold

SENSOR = Path(__file__).parents[3] / "sensors" / "bmc_sensor.yaml"
STARTS_SECONDS = 11.0  # StackStorm's for a sensor that was killed as well
NOTICED_SECONDS = 300.0
LOCK = Lock("id", "db01", "db01-1", "exec1", "10.1.0.5:623", (), "st2a:7", 1000.0)


def beat(at, incident="db01-1"):
    return Heartbeat(incident, at, "st2a", 7)


def test_a_heal_with_a_heartbeat_is_not_overdue():
    assert overdue([LOCK], {"db01": [beat(5000.0)]}, 120.0, 5119.0) == []
    assert overdue([LOCK], {}, 120.0, 1119.0) == []


def test_by_default_a_dead_heal_is_noticed_within_five_minutes():
    poll = yaml.safe_load(SENSOR.read_text())["poll_interval"]
    longest = WatchSettings().overdue_seconds + CHECK_SECONDS + poll + STARTS_SECONDS
    assert longest < NOTICED_SECONDS / 1.5, "a busy machine takes longer"


def test_a_silent_heal_is_overdue_even_if_another_lives():
    (late,) = overdue([LOCK], {"db01": [beat(5000.0), beat(5100.0, "other")]}, 120.0, 5120.0)
    assert late.silent_seconds == 120.0
    assert late.payload(5120.0)["incident"] == "db01-1"


def test_one_without_a_lock_is_told_by_its_execution():
    run = ExecutionInfo("exec2", "running", "bmc_healer.heal", host="DB01", since=1000.0)
    late = without_lock(LostHeal(run, "db01", 121.0))
    told = late.payload(1121.0)
    assert (told["host"], told["key"], told["incident"], told["execution"]) == ("db01", "exec2", "", "exec2")
    assert told["taken_at"].endswith("16:40Z") and told["silent_seconds"] == 121.0


def test_what_tidy_cannot_end_is_told_again_less_and_less_often():
    telling, late = Telling(), [Overdue(LOCK, 121.0)]
    told = [now for now in range(2400) if telling.due(late, 600.0, 5000.0 + now)]
    assert told == [0, 60, 180, 420, 900, 1500, 2100]


def test_one_that_dies_again_is_told_at_once():
    telling, late = Telling(), [Overdue(LOCK, 121.0)]
    assert telling.due(late, 600.0, 5000.0) == late
    assert telling.due([], 600.0, 5001.0) == []
    assert telling.due(late, 600.0, 5002.0) == late


def waiting(created_at, next_try):
    return Message(str(created_at), "a title", "a text", created_at, next_try=next_try)


def test_messages_whose_turn_has_passed_are_untold():
    messages = [waiting(100.0, 480.0), waiting(200.0, 300.0), waiting(50.0, 2000.0)]
    (found,) = untold(messages, 500.0)
    assert found == Untold(2, 100.0)
    told = found.payload(500.0)
    assert (told["waiting"], told["key"]) == (2, "outbox")
    assert told["oldest"] == "1970-01-01T00:01:40Z"


def test_who_is_at_it_gets_its_time():
    assert untold([waiting(100.0, 490.0)], 500.0) == []
    assert untold([], 500.0) == []
