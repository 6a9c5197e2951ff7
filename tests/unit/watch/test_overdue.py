from bmc_healer.state.documents import Heartbeat, Lock
from bmc_healer.watch.overdue import overdue

LOCK = Lock("id", "db01", "db01-1", "exec1", "10.1.0.5:623", (), "st2a:7", 1000.0)


def beat(at, incident="db01-1"):
    return Heartbeat(incident, at, "st2a", 7)


def test_a_heal_with_a_heartbeat_is_not_overdue():
    assert overdue([LOCK], {"db01": [beat(5000.0)]}, 120.0, 5119.0) == []
    assert overdue([LOCK], {}, 120.0, 1119.0) == []


def test_a_silent_heal_is_overdue_even_if_another_lives():
    (late,) = overdue([LOCK], {"db01": [beat(5000.0), beat(5100.0, "other")]}, 120.0, 5120.0)
    assert late.silent_seconds == 120.0
    assert late.payload(5120.0)["incident"] == "db01-1"
