"""Any number of begin_heals at once, in every order of their single reads and writes."""

import threading

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bmc_healer.config.settings import GuardrailSettings, Mode
from bmc_healer.errors import StateError
from bmc_healer.guardrails import Request, judge
from bmc_healer.state.heal_state import HealState
from bmc_healer.state.refs import HealRef
from tests.unit.state.fake_datastore import FakeDatastore

NOW = 1_795_000_000.0
LIMITS = GuardrailSettings(concurrent_fleet=2, concurrent_label=1, heals_per_hour_fleet=3)


class Interleaver:
    """Lets one thread at a time take one step (a datastore operation or a sleep); `schedule` says which."""

    def __init__(self, schedule):
        self._schedule = list(schedule)
        self._turn = threading.Condition()
        self._waiting = {}
        self._alive = set()
        self._chosen = None

    def step(self, _operation=None):
        me = threading.get_ident()
        if me not in self._alive:
            return
        with self._turn:
            self._waiting[me] = True
            self._turn.notify_all()
            while self._chosen != me:
                self._turn.wait()
            self._chosen = None
            del self._waiting[me]

    def run(self, jobs):
        order = []

        def body(job):
            with self._turn:
                self._alive.add(threading.get_ident())
                order.append(threading.get_ident())
                self._turn.notify_all()
            self.step()
            try:
                job()
            finally:
                with self._turn:
                    self._alive.discard(threading.get_ident())
                    self._turn.notify_all()

        threads = []
        for job in jobs:
            threads.append(threading.Thread(target=body, args=(job,)))
            threads[-1].start()
            with self._turn:
                while len(order) < len(threads):
                    self._turn.wait()
        while True:
            with self._turn:
                while self._chosen is not None or len(self._waiting) < len(self._alive):
                    self._turn.wait()
                ready = [ident for ident in order if ident in self._waiting]
                if not ready:
                    break
                pick = self._schedule.pop(0) if self._schedule else 0
                self._chosen = ready[pick % len(ready)]
                self._turn.notify_all()
        for thread in threads:
            thread.join()


def start(datastore, interleaver, number, host, bmc, label, lucky, incident=None):
    """One begin_heal of its own process; answers what became of it."""
    tokens = iter([f"reader{number}", f"{lucky:04d}{number}"] + [f"n{number}-{i}" for i in range(50)])
    state = HealState(
        datastore,
        clock=lambda: NOW,
        sleep=interleaver.step,
        owner=f"st2-{number}",
        token=lambda: next(tokens),
    )
    request = Request(host, (label,), bmc, "sensor", ("oob",), 0.0)
    return state.claim(
        host=host,
        bmc_address=bmc,
        incident=incident or f"{host}-20261121-10451{number}",
        execution="",
        label_keys=(label,),
        settle_seconds=2.0,
        decide=lambda fleet, seen: judge(request, fleet, seen, LIMITS, Mode.AUTO, NOW),
    )


def attempt(*args):
    try:
        return start(*args)
    except StateError as error:
        return error


starter = st.tuples(
    st.sampled_from(["db01", "db02", "db03", "db04"]),
    st.sampled_from(["10.1.0.1:623", "10.1.0.2:623", "10.1.0.3:623", None]),
    st.sampled_from(["rack=r1", "rack=r2", "rack=r3"]),
    st.integers(0, 9),
)


def race(starters, schedule):
    datastore = FakeDatastore()
    interleaver = Interleaver(schedule)
    datastore.before = interleaver.step
    answers = {}
    interleaver.run(
        [
            lambda number=number, one=one: answers.setdefault(
                number, attempt(datastore, interleaver, number, *one)
            )
            for number, one in enumerate(starters)
        ]
    )
    assert len(answers) == len(starters)
    datastore.before = lambda operation: None
    return datastore, [answers[number] for number in range(len(starters))]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(starter, min_size=2, max_size=5), st.lists(st.integers(0, 4), max_size=120))
def test_no_order_of_steps_gives_two_locks_or_more_than_the_budget(starters, schedule):
    datastore, answers = race(starters, schedule)
    won = [(ref, one) for ref, one in zip(answers, starters, strict=True) if isinstance(ref, HealRef)]
    hosts = [ref.host for ref, _ in won]
    bmcs = [ref.bmc_address for ref, _ in won if ref.bmc_address]
    labels = [one[2] for _, one in won]
    assert len(hosts) == len(set(hosts))
    assert len(bmcs) == len(set(bmcs))
    assert len(labels) == len(set(labels)), "one at a time per label"
    assert len(won) <= LIMITS.concurrent_fleet
    assert not any(isinstance(answer, StateError) for answer in answers)
    held = HealState(datastore, clock=lambda: NOW).fleet()
    assert {lock.incident for lock in held.locks} == {ref.incident for ref, _ in won}, "losers leave nothing"
    assert held.candidates == ()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.integers(0, 9), min_size=2, max_size=5, unique=True))
def test_in_step_the_lowest_id_wins(luck):
    """Everybody writes, settles and reads in turn: then exactly one gets the host, not none."""
    starters = [("db01", "10.1.0.1:623", "rack=r1", lucky) for lucky in luck]
    round_robin = [step for _ in range(60) for step in range(len(luck))]
    _, answers = race(starters, round_robin)
    winners = [lucky for lucky, answer in zip(luck, answers, strict=True) if isinstance(answer, HealRef)]
    assert winners == [min(luck)]
    losers = [answer for answer in answers if not isinstance(answer, HealRef)]
    assert all("It is being healed since" in refusal.sentence for refusal in losers)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.integers(0, 9), min_size=2, max_size=3), st.lists(st.integers(0, 2), max_size=80))
def test_one_incident_begun_twice_gets_one_lock(luck, schedule):
    """As when an engine runs begin_heal again. Whoever loses may take the lock along: then nobody sends."""
    _, answers = race([("db01", None, "rack=r1", lucky, "db01-again") for lucky in luck], schedule)
    assert sum(isinstance(answer, HealRef) for answer in answers) <= 1
