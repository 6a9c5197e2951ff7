"""A mass outage of which each sensor sees too little to tell it: the first heal sees all of it (SAFETY 7)."""

from dataclasses import replace
from functools import partial

import pytest

from bmc_healer.bmc.ping import sweep
from bmc_healer.state.keys import fleet_part
from bmc_healer.verbs import begin_heal as verb
from bmc_healer.watch import bmc, lan
from bmc_healer.watch.bmc import BmcWatch
from bmc_healer.watch.confirm import Confirm
from bmc_healer.watch.lan import LanSeen
from bmc_healer.watch.share import owns, share_of
from tests.unit.verbs import config, host, locks, runtime

from .collect import Said, config_of, run_until

SENSORS = ("a", "b", "c")
RACK = [f"db{number:02}" for number in range(1, 10)]  # at addresses where nobody answers


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """Nobody answers, however long one waits."""
    for module in (bmc, verb):
        monkeypatch.setattr(module, "sweep", partial(sweep, timeout=0.2))


def told_by(sensor, sensors, hosts):
    """What one of the sensors says when all that it watches falls silent: the names, and of which hosts."""
    said = Said()
    fleet, inventory = config_of(hosts, bmc_poll_seconds=0.2, bmc_failures=2)
    fleet = replace(fleet, ladder=replace(fleet.ladder, session_limit=1.0))
    known = lan.documents(set(map(fleet_part, RACK)), [(name, LanSeen(alive_at=1.0)) for name in RACK])
    watch = BmcWatch(fleet, inventory, {}, Confirm(fleet, {}, (), said), said)
    share = share_of(sensor, sensors)
    watch.share(share, known)
    own = [name for name in RACK if owns(share, name)]
    enough = 1 if share is None else len(own)
    assert run_until(watch, lambda: len(said.names()) >= enough, seconds=60)
    return said.names(), own


def test_an_outage_of_which_each_sensor_sees_too_little_is_seen_by_the_first_heal():
    hosts = {name: host(number, "r12") for number, name in enumerate(RACK, 1)}
    assert told_by("a", ("a",), hosts) == (["bmc.mass_outage"], RACK), "who sees all of it tells it"
    for sensor in SENSORS:
        names, own = told_by(sensor, SENSORS, hosts)
        assert own and names == ["bmc.unresponsive"] * len(own)
    rt = runtime(config(hosts))
    for name in RACK:
        answer = verb.begin_heal(rt, {"host": name, "source": "sensor", "reason": "It is silent."})
        assert answer["outcome"] == "refused"
        assert "8 of 8 BMCs of rack=r12 are silent at once" in answer["sentence"]
    assert locks(rt) == ()
