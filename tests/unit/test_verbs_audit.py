"""Which hosts an audit looks at, and how many logins of one credential are under way at once."""

from __future__ import annotations

import threading

import pytest

from bmc_healer.errors import ConfigError, StateError, UnknownHostError
from bmc_healer.state.documents import BadLogin
from bmc_healer.verbs import audit
from bmc_healer.verbs.audit import Audit, Turns, choose
from tests.unit.clock import NOW
from tests.unit.state.fake_datastore import FakeDatastore
from tests.unit.verbs import config, host, runtime

FLEET = {"db01": host(1, "r1"), "db02": host(2, "r2"), "db03": host(3, "r1")}


def names(hosts):
    return [host.name for host in hosts]


def test_all_or_a_label_or_those_that_are_named():
    rt = runtime(config(FLEET))
    assert names(choose(rt, ())) == ["db01", "db02", "db03"]
    assert names(choose(rt, (), "rack=r1")) == names(choose(rt, (), "rack:r1")) == ["db01", "db03"]
    assert names(choose(rt, ["DB03", "db01", "db03"])) == ["db03", "db01"]


def test_nobody_to_look_at():
    rt = runtime(config(FLEET))
    with pytest.raises(ConfigError, match="no host has the label 'rack:r9'"):
        choose(rt, (), "rack=r9")
    with pytest.raises(UnknownHostError, match="db4"):
        choose(rt, ["db4"])
    with pytest.raises(ConfigError, match="no host is configured"):
        choose(runtime({"mode": "auto"}), ())


def test_without_state_nobody_is_looked_at():
    store = FakeDatastore()
    store.down = True
    rt = runtime(config(FLEET), store)
    with pytest.raises(StateError):
        Audit(rt, choose(rt, ()))


class Bmcs:
    """Logins with one credential through `Turns`, each held until it is told to end."""

    def __init__(self, count, refuses, earlier=()):
        self._turns, self._refuses = Turns(earlier), refuses
        self._mutex = threading.Lock()
        self.tried = self.most = self._now = 0
        self.refused = {bad.bmc_address for bad in earlier}
        self.threads = [threading.Thread(target=self._log_in, args=(number,)) for number in range(count)]
        self._barrier = threading.Event()

    def run(self):
        for thread in self.threads:
            thread.start()
        self._barrier.set()
        for thread in self.threads:
            thread.join(20)
            assert not thread.is_alive()

    def _log_in(self, number):
        self._barrier.wait()
        with self._turns.turn("dell"):
            with self._mutex:
                if len(self.refused) >= audit.BAD_LOGINS:  # as Runtime.look_at_bmc does
                    return
                self.tried += 1
                self._now += 1
                self.most = max(self.most, self._now)
            threading.Event().wait(0.01)  # a login lasts
            with self._mutex:
                self._now -= 1
                if not self._refuses(number):
                    return
                self.refused.add(address := f"10.1.0.{number}:623")
            self._turns.refused("dell", address)


@pytest.mark.parametrize(
    ("earlier", "tried", "at_once"), [((), 2, 2), ((BadLogin("dell", "10.1.1.1:623", NOW),), 1, 1)]
)
def test_a_wrong_password_is_tried_at_two_bmcs(earlier, tried, at_once):
    bmcs = Bmcs(30, lambda number: True, earlier)
    bmcs.run()
    assert (bmcs.tried, bmcs.most) == (tried, at_once)


def test_a_right_password_is_tried_everywhere_two_at_once():
    bmcs = Bmcs(30, lambda number: False)
    bmcs.run()
    assert (bmcs.tried, bmcs.most) == (30, 2)


def test_a_password_that_some_bmcs_refuse_is_refused_twice():
    bmcs = Bmcs(60, lambda number: number % 3 == 0)
    bmcs.run()
    assert len(bmcs.refused) == 2


def test_credentials_do_not_wait_for_each_other():
    turns = Turns(())
    with turns.turn("dell"), turns.turn("dell"), turns.turn("hpe"):
        pass


def test_what_goes_wrong_inside_is_raised_where_the_results_are_read(monkeypatch):
    monkeypatch.setattr(audit, "_look", lambda *arguments: 1 / 0)
    rt = runtime(config(FLEET))
    with pytest.raises(ZeroDivisionError):
        list(Audit(rt, choose(rt, ())))


def test_whoever_leaves_early_leaves_the_rest_alone(monkeypatch):
    looked, go_on = [], threading.Event()

    def look(rt, host, fleet, turns):
        looked.append(host.name)
        if len(looked) > 1:
            go_on.wait(20)
        return audit.Seen(host, NOW, rt.state.memory(host.name))

    monkeypatch.setattr(audit, "_look", look)
    rt = runtime(config({f"db{number:02}": host(number) for number in range(1, 31)}))
    running = iter(Audit(rt, choose(rt, ()), at_once=2))
    next(running)
    running.close()
    go_on.set()
    for thread in threading.enumerate():
        if thread.name.startswith("audit "):
            thread.join(20)
    assert len(looked) <= 4
