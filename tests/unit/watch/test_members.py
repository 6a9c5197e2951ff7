"""Several sensors on one datastore: never two for one host, none for nobody but for a bounded time."""

import random
from dataclasses import replace

import pytest

from bmc_healer.errors import StateError
from bmc_healer.state.keys import FLEET_PARTS
from bmc_healer.state.store import Store
from bmc_healer.watch.members import NOTHING, Member, Members, here, lives
from tests.unit.state.fake_datastore import FakeDatastore

POLL = 5.0
TAKEN_OVER = 120.0  # as docs/stackstorm.md says, without the 30 s that clocks may differ
JOINED = 60.0


class Cluster:
    """Sensors that poll every 5 s; `check` holds what must hold at every moment."""

    def __init__(self, clock):
        self.clock = clock
        self.datastore = FakeDatastore()
        self.sensors = {}
        self.alive = set()

    def start(self, name, machine=None, process="1 1"):
        member = Member(name, machine or name, process)
        members = Members(
            "bmc", Store(self.datastore, self.clock), self.clock, member, self.alive.__contains__
        )
        self.alive.add(process)
        self.sensors[name] = members
        return members

    def turn(self, *names):
        for name in names or list(self.sensors):
            members = self.sensors[name]
            try:
                if members.due():
                    members.renew()
            except StateError:
                members.let_go()
            self.check()

    def run(self, seconds, rng=None):
        for _ in range(int(seconds / POLL)):
            names = list(self.sensors)
            if rng:
                rng.shuffle(names)
            for name in names:
                self.clock.now += POLL / len(names)
                self.turn(name)

    def shares(self):
        return {n: set(FLEET_PARTS) if m.share is None else set(m.share) for n, m in self.sensors.items()}

    def check(self):
        watched = [part for share in self.shares().values() for part in share]
        assert len(watched) == len(set(watched)), "watched twice"

    def complete(self):
        return set().union(*self.shares().values()) == set(FLEET_PARTS)


@pytest.fixture
def cluster(clock):
    return Cluster(clock)


def test_one_alone_watches_everything_at_once(cluster):
    cluster.start("node1").renew()
    assert cluster.sensors["node1"].share is None


def test_one_that_comes_waits_until_the_others_have_let_go(cluster):
    cluster.start("node1")
    cluster.run(60)
    second = cluster.start("node2")
    cluster.turn("node2")
    assert second.share == NOTHING and cluster.sensors["node1"].share is None
    cluster.run(JOINED)
    assert cluster.complete() and second.share and cluster.sensors["node1"].share


def test_a_killed_one_is_taken_over_from_within_two_minutes(cluster):
    for name in ("node1", "node2", "node3"):
        cluster.start(name)
    cluster.run(300)
    assert cluster.complete()
    before = cluster.shares()
    del cluster.sensors["node2"]
    cluster.run(30)
    assert not cluster.complete()
    cluster.run(TAKEN_OVER - 30)
    assert cluster.complete()
    assert all(before[name] <= share for name, share in cluster.shares().items())


def test_one_that_is_started_again_on_its_machine_waits_for_nothing(cluster):
    for name in ("node1", "node2"):
        cluster.start(name, process=f"{name} 1")
    cluster.run(300)
    before = cluster.shares()["node1"]
    cluster.alive.remove("node1 1")
    del cluster.sensors["node2"]  # its machine is another: it may live
    again = cluster.start("node1", process="node1 2")
    again.renew()
    assert again.name == "node1"
    cluster.run(JOINED)
    assert cluster.shares()["node1"] == before


def test_alone_it_has_everything_at_once_after_a_restart(cluster):
    cluster.start("node1", process="7 1").renew()
    cluster.alive.clear()
    again = cluster.start("node1", process="8 1")
    again.renew()
    assert (again.name, again.share) == ("node1", None)


def test_two_on_one_machine_are_told_apart(cluster):
    cluster.start("node1", machine="m", process="7 1")
    cluster.run(60)
    first = cluster.sensors.pop("node1")
    other = cluster.start("node1", machine="m", process="8 1")
    cluster.sensors["first"] = first
    cluster.run(JOINED)
    assert (first.name, other.name) == ("node1", "node1 8")
    assert cluster.complete() and first.share and other.share


def test_who_cannot_renew_lets_go_before_it_is_taken_over_from_and_comes_anew(cluster):
    cut_off = cluster.start("node1")
    cluster.start("node2")
    cluster.run(300)
    store, cut_off._store = cut_off._store, Store(down := FakeDatastore(), cluster.clock)
    down.down = True
    cluster.run(TAKEN_OVER)
    assert cut_off.share == NOTHING and cluster.sensors["node2"].share is None
    cut_off._store = store
    cluster.run(JOINED)
    assert cluster.complete() and cut_off.share


def test_one_that_was_stopped_for_long_holds_nothing_when_it_goes_on(cluster):
    stopped = cluster.start("node1")
    cluster.start("node2")
    cluster.run(300)
    del cluster.sensors["node1"]
    cluster.run(TAKEN_OVER)
    assert cluster.sensors["node2"].share is None
    stopped.renew()
    cluster.sensors["node1"] = stopped
    cluster.check()
    cluster.run(JOINED)
    assert cluster.complete()


def test_without_a_datastore_one_that_is_alone_goes_on(cluster):
    alone = cluster.start("node1")
    cluster.run(60)
    cluster.datastore.down = True
    cluster.run(600)
    assert alone.share is None


@pytest.mark.parametrize("seed", range(20))
def test_whatever_comes_and_goes_nobody_is_watched_twice(cluster, seed):
    rng = random.Random(seed)
    for step in range(12):
        if cluster.sensors and rng.random() < 0.4:
            del cluster.sensors[rng.choice(sorted(cluster.sensors))]
        else:
            cluster.start(f"node{step}")
        cluster.run(rng.uniform(0, 90), rng)
    cluster.start("last")
    cluster.run(TAKEN_OVER + JOINED, rng)
    assert cluster.complete()


def test_a_process_is_known_by_its_start_time():
    me = here()
    assert lives(me.process)
    assert not lives(f"{me.process}0") and not lives("0 1") and not lives("")
    assert replace(me, process="") != me
