"""The bridge with real watch processes and a datastore in memory."""

import json
import logging
import os
import resource
import select
import signal
import sys
import time
from pathlib import Path

import pytest

from bmc_healer.errors import StateError
from bmc_healer.executions import ExecutionInfo
from bmc_healer.state.documents import Heartbeat
from bmc_healer.state.heal_state import HealState
from bmc_healer.state.keys import fleet_part
from bmc_healer.state.outbox import Message
from bmc_healer.verbs.begin_heal import begin_heal
from bmc_healer.watch.bridge import Bridge
from bmc_healer.watch.child import ChildLost, WatchChild
from bmc_healer.watch.members import Member
from bmc_healer.watch.share import owns, share_of
from tests.unit.clock import Clock
from tests.unit.state.fake_datastore import SensorService
from tests.unit.verbs import runtime

CONFIG = {"mode": "observe", "hosts": {"here": {"transport": "local"}}, "watch": {"repeat_seconds": 60}}
INCIDENT = {
    "key": "here:b00t:1",
    "host": "here",
    "trigger": "kipmi.high_cpu",
    "signature": "stuck_counters",
    "silent": True,
    "since": 1.0,
    "told_at": 1.0,
    "acknowledged": False,
}
OVER = INCIDENT | {"key": "here:b00t:1:recovered", "recovered_at": 2.0}
LAN = f"lan:{fleet_part('here')}"
STORE = {"store": {"incident:here": INCIDENT}}
TRIGGER = {"trigger": "bmc_healer.kipmi.high_cpu", "payload": {"host": "here", "key": "here:b00t:1"}}


class Engine:
    """StackStorm, as far as a sensor has to do with it."""

    def __init__(self, configuration):
        self.configuration = configuration
        self.dispatched = []

    def dispatcher(self):
        return lambda trigger, payload: self.dispatched.append(trigger)


@pytest.fixture
def service():
    return SensorService()


@pytest.fixture
def make(service, clock):
    made = []

    def bridge(kind="kipmi", config=CONFIG, engine=None, me=None, steady=clock):
        logger = logging.getLogger("sensor")
        clocks = {"clock": clock, "steady": steady}
        made.append(Bridge(kind, service, config, logger, engine=engine, **clocks, me=me))
        return made[-1]

    yield bridge
    for one in made:
        one.close()


def poll_until(bridge, condition, seconds=15.0):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        bridge.poll()
        if condition():
            return True
        time.sleep(0.05)
    return False


def say(bridge, *lines):
    """As if the watch process had said it."""
    bridge._hear([json.dumps(line).encode() for line in lines], bridge._steady())


def pid_of(bridge):
    return bridge._child._process.pid


def heard(bridge, clock):
    """Whether the process has given a sign of life."""
    before = clock.now
    clock.now += 0.001
    return lambda: bridge._heard > before


def test_it_starts_the_process_and_hears_it(make, clock):
    bridge = make()
    assert poll_until(bridge, lambda: bridge._child is not None)
    assert poll_until(bridge, heard(bridge, clock))


def test_the_process_has_an_environment_of_its_own(make, monkeypatch):
    monkeypatch.setenv("ST2_AUTH_TOKEN", "a token")
    bridge = make()
    poll_until(bridge, lambda: bridge._child is not None)
    environment = Path(f"/proc/{pid_of(bridge)}/environ").read_text()
    names = {entry.partition("=")[0] for entry in environment.split("\0") if entry}
    assert names <= {"PATH", "LANG", "HOME", "SSH_AUTH_SOCK", "PYTHONPATH", "PYTHONUNBUFFERED"}
    argv = Path(f"/proc/{pid_of(bridge)}/cmdline").read_text()
    assert "mode" not in argv


def test_an_incident_is_persisted_before_it_is_dispatched(make, service):
    bridge = make()
    bridge.poll()
    service.down = True
    say(bridge, STORE, TRIGGER)
    bridge.poll()
    assert service.dispatched == []
    service.down = False
    bridge.poll()
    assert service.dispatched == [("bmc_healer.kipmi.high_cpu", TRIGGER["payload"])]
    assert "bmc_healer:w:kipmi:incident_3ahere:" in service.rows


def test_a_line_that_makes_no_sense_does_not_hold_up_those_behind_it(make, service, caplog):
    bridge = make()
    bridge.poll()
    say(bridge, {"remember": {"host": "here", "nonsense": 1}}, {"mass": {"label": "fleet"}}, TRIGGER)
    bridge.poll()
    assert len(service.dispatched) == 1
    assert len([r for r in caplog.records if "cannot be kept" in r.getMessage()]) == 2


def test_acknowledgements_of_many_are_looked_for_in_turns(make, service, clock):
    bridge = make()
    bridge.poll()
    for number in range(50):
        document = INCIDENT | {"host": f"h{number}", "key": f"h{number}:1"}
        say(bridge, {"store": {f"incident:h{number}": document}})
    bridge.poll()
    HealState(service, clock=clock).acknowledge("h49", "h49:1")
    found = [bridge._ledger.newly_acknowledged() for _ in range(3)]
    assert found == [[], [], ["h49:1"]]


def test_thousands_that_are_over_hold_up_no_open_incident(make, service, clock):
    bridge = make()
    bridge.poll()
    for number in range(60):
        document = OVER | {"host": f"h{number}", "key": f"h{number}:1:recovered"}
        say(bridge, {"store": {f"incident:h{number}": document}})
    say(bridge, STORE)
    bridge.poll()
    HealState(service, clock=clock).acknowledge("here", INCIDENT["key"])
    assert bridge._ledger.newly_acknowledged() == [INCIDENT["key"]]


def test_what_is_over_goes_once_somebody_has_taken_it_up(make, service, clock):
    bridge = make()
    bridge.poll()
    say(bridge, {"store": {"incident:here": OVER}})
    bridge.poll()
    state = HealState(service, clock=clock)
    state.acknowledge("here", INCIDENT["key"])
    clock.now += 20
    sent = []
    bridge._child.send = sent.append
    bridge.poll()
    assert sent == [], "that was its beginning"
    rt = runtime({**CONFIG, "mode": "auto"}, service, clock)
    bring_back = {"host": "here", "rungs": ["load"], "source": "sensor", "key": OVER["key"]}
    assert begin_heal(rt, bring_back)["outcome"] == "not_needed"
    clock.now += 20
    bridge.poll()
    assert sent == [{"acknowledged": [OVER["key"]]}]
    assert "incident:here" not in bridge._ledger.documents()
    clock.now += 20
    bridge.poll()
    assert len(sent) == 1


def test_a_dispatch_that_raises_is_tried_again(make, service):
    answers = [None, ZeroDivisionError]
    service.dispatch = lambda **told: service.dispatched.append(told) if answers.pop() is None else 1 / 0
    bridge = make()
    bridge.poll()
    say(bridge, TRIGGER)
    bridge.poll()
    assert service.dispatched == []
    bridge.poll()
    assert len(service.dispatched) == 1


def test_a_dispatch_that_fails_is_told_and_goes_another_way_the_next_time(make, service, caplog):
    engine = Engine(lambda: CONFIG)

    def dispatch(trigger, payload):
        raise AttributeError("'NoneType' object has no attribute 'channel'")

    service.dispatch = dispatch
    bridge = make(engine=engine)
    bridge.poll()
    say(bridge, TRIGGER)
    bridge.poll()
    assert engine.dispatched == []
    told = [r.getMessage() for r in caplog.records if r.levelname == "ERROR"]
    assert len(told) == 1 and told[0].startswith("bmc_healer.kipmi.high_cpu could not be dispatched: Attr")
    bridge.poll()
    assert engine.dispatched == ["bmc_healer.kipmi.high_cpu"]


def test_what_was_repeated_while_nobody_could_be_told_is_told_once(make, service):
    bridge = make()
    bridge.poll()
    service.down = True
    again, other = (json.loads(json.dumps(TRIGGER)) for _ in range(2))
    again["payload"]["observed_at"] = "later"
    other["payload"]["key"] = "other"
    say(bridge, STORE, TRIGGER, other)
    bridge.poll()
    say(bridge, STORE, again)
    service.down = False
    bridge.poll()
    assert [payload for _, payload in service.dispatched] == [other["payload"], again["payload"]]


def test_an_acknowledgement_reaches_the_process_and_is_kept(make, service, clock):
    bridge = make()
    bridge.poll()
    say(bridge, STORE)
    bridge.poll()
    HealState(service, clock=clock).acknowledge("here", INCIDENT["key"])
    clock.now += 20
    sent = []
    bridge._child.send = sent.append
    bridge.poll()
    assert sent == [{"acknowledged": ["here:b00t:1"]}]
    kept = json.loads(service.rows["bmc_healer:w:kipmi:incident_3ahere:"])
    assert kept["document"]["acknowledged"] is True
    clock.now += 20
    bridge.poll()
    assert len(sent) == 1


def test_a_clock_that_is_set_back_keeps_nothing_from_being_looked_at(make, service, clock):
    steady = Clock(1000.0)
    bridge = make(steady=steady)
    bridge.poll()
    say(bridge, STORE)
    bridge.poll()
    clock.now -= 86400
    steady.now += 20
    HealState(service, clock=clock).acknowledge("here", INCIDENT["key"])
    sent = []
    bridge._child.send = sent.append
    bridge.poll()
    assert sent == [{"acknowledged": ["here:b00t:1"]}]


def test_a_restarted_sensor_gives_back_what_was_kept(make, service):
    first = make()
    first.poll()
    say(first, STORE, {"store": {LAN: {"here": [1.0, None, None]}}})
    first.poll()
    again, other = make(), make("bmc")
    for bridge in (again, other):
        bridge._renew_share()
    assert again._ledger.documents() == first._ledger.documents()
    assert set(first._ledger.documents()) == {"incident:here", LAN}
    assert other._ledger.documents() == {}
    say(first, {"store": {"incident:here": None}})
    first.poll()
    assert set(first._ledger.documents()) == {LAN}


NODES = [Member(f"node{number}", f"machine{number}", "1 1") for number in range(2)]
MINE, THEIRS = (
    next(f"h{n}" for n in range(99) if owns(share_of(node.name, [m.name for m in NODES]), f"h{n}"))
    for node in NODES
)


def joined(bridges, clock):
    """Some time on, in which all of them poll."""
    for _ in range(12):
        clock.now += 5
        for bridge in bridges:
            bridge.poll()


def test_two_sensors_tell_each_what_it_found_in_its_share_and_hand_over_what_was_known(make, service, clock):
    first = make(me=NODES[0])
    first.poll()
    for host in (MINE, THEIRS):
        say(first, {"store": {f"incident:{host}": INCIDENT | {"host": host}}})
    first.poll()
    second, sent = make(me=NODES[1]), []
    second.poll()
    second._child.send = sent.append
    joined([first, second], clock)
    assert len(sent) == 1 and fleet_part(THEIRS) in sent[0]["share"]
    assert set(sent[0]["state"]) == {f"incident:{THEIRS}"}
    for bridge in (first, second):
        say(bridge, *(told(host) for host in (MINE, THEIRS)))
        bridge.poll()
    assert [payload["host"] for _, payload in service.dispatched] == [MINE, THEIRS]
    old = {"store": {f"incident:{THEIRS}": None, f"lan:{fleet_part(THEIRS)}": {}}}
    say(first, old)
    first.poll()
    assert f"bmc_healer:w:kipmi:incident_3a{THEIRS}:" in service.rows


def test_an_overdue_heal_is_told_by_the_sensor_that_watches_its_host(make, service, clock):
    bridges = [make("bmc", me=node) for node in NODES]
    joined(bridges, clock)
    lock_of(service, clock)
    for _ in range(3):
        joined(bridges, clock)
    assert [payload["host"] for _, payload in service.dispatched] == ["db01"]


def test_without_the_datastore_a_sensor_in_company_watches_nothing(make, service, clock):
    bridges = [make(me=node) for node in NODES]
    joined(bridges, clock)
    sent = []
    bridges[0]._child.send = sent.append
    service.down = True
    joined(bridges[:1], clock)
    assert sent == [{"share": [], "state": {}}]
    service.down = False
    joined(bridges, clock)
    assert set(sent[-1]["share"]) == share_of("node0", ["node1"])


def told(host):
    return {"trigger": TRIGGER["trigger"], "payload": {"host": host, "key": f"{host}:1"}}


def test_what_the_watch_learns_reaches_the_state(make, service, clock):
    bridge = make()
    bridge.poll()
    say(
        bridge,
        {"remember": {"host": "here", "lan_dark_at": 5.0, "bmc_guid": "ab" * 16}},
        {"mass": {"label": "rack=r1", "hosts": ["here"], "until": clock.now + 900}},
        {"bad_login": {"credential": "dell", "bmc": "10.1.0.5"}},
    )
    bridge.poll()
    state = HealState(service, clock=clock)
    assert (state.memory("here").lan_dark_at, state.memory("here").bmc_guid) == (5.0, "ab" * 16)
    assert [outage.label for outage in state.fleet().mass_outages] == ["rack=r1"]
    assert make("bmc")._ledger.refused_credentials() == ["dell"]
    say(bridge, {"mass": {"label": "rack=r1", "hosts": [], "until": None}})
    bridge.poll()
    assert state.fleet().mass_outages == ()


def test_secrets_come_from_the_datastore_and_only_those_that_are_named(make, service):
    service.rows["bmc_dell"] = "s3cret"
    credentials = {"dell": {"username": "a", "password_key": "bmc_dell"}, "hp": {"password_key": "missing"}}
    bridge = make("bmc", CONFIG | {"credentials": credentials})
    assert bridge._ledger.secrets(bridge._config) == {"bmc_dell": "s3cret"}


def test_a_killed_process_is_started_again_with_growing_pauses(make, clock, caplog):
    bridge = make()
    bridge.poll()
    first = pid_of(bridge)
    os.kill(first, signal.SIGKILL)
    assert poll_until(bridge, lambda: bridge._child is None)
    bridge.poll()
    assert bridge._child is None  # not at once
    clock.now += 1.0
    bridge.poll()
    assert pid_of(bridge) != first
    assert "exit status -9" in caplog.text


def test_a_process_that_falls_silent_is_ended(make, clock):
    bridge = make()
    poll_until(bridge, lambda: bridge._child is not None)
    pid = pid_of(bridge)
    os.kill(pid, signal.SIGSTOP)
    poll_until(bridge, lambda: not bridge._lines, seconds=0.3)
    clock.now += 301
    assert poll_until(bridge, lambda: bridge._child is None, seconds=3)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_no_datastore_no_start_one_sentence_and_no_exception(make, service, clock, caplog):
    service.down = True
    bridge = make()
    for _ in range(5):
        clock.now += 100
        bridge.poll()
    assert bridge._child is None
    assert len([r for r in caplog.records if r.levelname == "ERROR"]) == 1
    service.down = False
    clock.now += 100
    bridge.poll()
    assert bridge._child is not None


@pytest.mark.parametrize("config", [{}, None, {"watch": 7}, {"watch": {"nonsense": 1}}, {"credentials": []}])
def test_no_configuration_gets_an_exception_out_of_poll(make, config):
    for kind in ("kipmi", "bmc"):
        bridge = make(kind, config or {})
        for _ in range(3):
            bridge.poll()


def test_a_traceback_of_the_process_is_logged(make, caplog):
    bridge = make()
    bridge.poll()
    bridge._hear([b"Traceback (most recent call last):", b"[1]", b'{"log": "warning", "text": "hm"}'], 1.0)
    assert [r.getMessage() for r in caplog.records] == [
        "watch process: Traceback (most recent call last):",
        "watch process: [1]",
        "hm",
    ]


def test_a_changed_configuration_is_taken_up_and_an_unchanged_one_is_not(make, clock, caplog):
    caplog.set_level(logging.INFO)
    now = dict(CONFIG)
    bridge = make(engine=Engine(lambda: dict(now)))
    for _ in range(3):
        bridge.poll()
        clock.now += 20
    first = pid_of(bridge)
    now["mode"] = "auto"
    bridge.poll()
    bridge.poll()
    assert pid_of(bridge) != first
    assert bridge._config["mode"] == "auto"
    assert len([r for r in caplog.records if "has changed" in r.getMessage()]) == 1


def test_a_mended_configuration_is_taken_up(make, clock, caplog):
    caplog.set_level(logging.INFO)
    now = {"mode": "perhaps"}
    bridge = make(config=dict(now), engine=Engine(lambda: dict(now)))
    assert poll_until(bridge, lambda: "nothing is watched" in caplog.text)
    now.update(CONFIG)
    clock.now += 20
    bridge.poll()
    bridge.poll()
    assert bridge._config == CONFIG
    assert poll_until(bridge, heard(bridge, clock))
    assert caplog.text.count("nothing is watched") == 1


def test_a_configuration_that_cannot_be_read_again_is_told_once_and_the_last_one_holds(make, clock, caplog):
    bridge = make(engine=Engine(lambda: 1 / 0))
    bridge.poll()
    first = pid_of(bridge)
    for _ in range(3):
        clock.now += 20
        bridge.poll()
    assert pid_of(bridge) == first
    assert [r.levelname for r in caplog.records if "the last one holds" in r.getMessage()] == ["WARNING"]


def lock_of(service, clock):
    state = HealState(service, clock=clock, sleep=lambda seconds: None)
    ref = state.claim(
        host="db01",
        bmc_address=None,
        incident="db01-1",
        execution="e1",
        label_keys=(),
        settle_seconds=0.0,
        decide=lambda fleet, host: None,
    )
    return state, ref


def test_an_overdue_heal_is_told_by_the_bmc_sensor_alone_and_repeated(make, service, clock):
    lock_of(service, clock)
    bmc, kipmi = make("bmc"), make("kipmi")
    for seconds in (0, 60, 61, 300, 60):
        clock.now += seconds
        kipmi.poll()
        bmc.poll()
    told = [payload for trigger, payload in service.dispatched if trigger == "bmc_healer.heal.overdue"]
    assert [(p["host"], p["incident"], p["execution"]) for p in told] == [("db01", "db01-1", "e1")] * 2


class Heals:
    """The engine's executions: a heal whose runner was killed before it had a lock."""

    def __init__(self, clock, fault=None):
        self.run = ExecutionInfo("e2", "running", "bmc_healer.heal", host="db01", since=clock())
        self.fault = fault

    def busy(self, action):
        if self.fault:
            raise self.fault
        return (self.run,) if action == self.run.action else ()

    def children(self, execution):
        return ()


def lost_heal(clock, fault=None):
    engine = Engine(lambda: CONFIG)
    heals = Heals(clock, fault)
    engine.executions = lambda service: heals
    return engine, heals


def test_a_heal_that_died_before_it_had_a_lock_is_told_as_well(make, service, clock):
    engine, _ = lost_heal(clock)
    bridge = make("bmc", engine=engine)
    for _ in range(3):
        clock.now += 50
        bridge.poll()
    told = [payload for trigger, payload in service.dispatched if trigger == "bmc_healer.heal.overdue"]
    assert [(p["host"], p["key"], p["incident"]) for p in told] == [("db01", "e2", "")]


def test_where_the_engine_cannot_be_asked_heals_with_a_lock_are_told_all_the_same(
    make, service, clock, caplog
):
    lock_of(service, clock)
    engine, heals = lost_heal(clock, StateError("the engine answers 403 Forbidden"))
    bridge = make("bmc", engine=engine)
    clock.now += 121
    bridge.poll()
    clock.now += 16
    bridge.poll()
    assert [p["incident"] for t, p in service.dispatched if t == "bmc_healer.heal.overdue"] == ["db01-1"]
    assert caplog.text.count("cannot be looked for: the engine answers 403 Forbidden.") == 1
    heals.fault = None
    clock.now += 16
    bridge.poll()
    assert service.dispatched[-1][1]["key"] == "e2"


def test_messages_that_nobody_tries_are_told_of_until_they_are_gone(make, service, clock):
    state = HealState(service, clock=clock)
    message = Message("m1", "a title", "a text", clock(), next_try=clock() + 30)
    state.outbox.put(message)
    bmc, kipmi = make("bmc"), make("kipmi")

    def told(*waits):
        for seconds in waits:
            clock.now += seconds
            kipmi.poll()
            bmc.poll()
        found = [p for t, p in service.dispatched if t == "bmc_healer.chat.waiting"]
        service.dispatched.clear()
        return [payload["waiting"] for payload in found]

    assert told(0, 20) == []
    assert told(30) == [1]
    assert told(16, 16) == []
    assert told(30) == [1], "a runner may be down: it is told again"
    state.outbox.delivered("m1")
    assert told(300) == []


def test_a_heartbeat_keeps_a_heal_from_being_overdue(make, service, clock):
    lock_of(service, clock)
    bridge = make("bmc")
    clock.now += 500
    beat = Heartbeat("db01-1", clock.now - 10, "st2a", 7)
    service.rows["bmc_healer:h:db01:heartbeat:db01-1:"] = json.dumps(vars(beat))
    bridge.poll()
    assert service.dispatched == []


def test_a_large_first_line_does_not_block(clock):
    """More than a pipe holds, for a process that does not read: `send` and `flush` come back soon."""
    child = WatchChild("kipmi", {"config": {"x": "y" * 3_000_000}})
    try:
        os.kill(child._process.pid, signal.SIGSTOP)
        started = time.monotonic()
        child.flush()
        assert child.read() == []
        assert time.monotonic() - started < 1.0
    finally:
        child.stop()
    with pytest.raises((ChildLost, ValueError)):
        child.read()


def test_the_last_words_of_a_process_are_read_once():
    """Its end comes behind words that nobody has read yet, as a sensor finds them that polls every 5 s."""
    child = WatchChild("kipmi", {"config": {}, "state": {}})
    child.flush()
    assert select.select([child._process.stdout], [], [], 15)[0]
    child._process.kill()
    child._process.wait(5)
    began = time.process_time()
    assert all(json.loads(line) for line in child.read())
    with pytest.raises(ChildLost, match="it ended, exit status -9"):
        child.read()
    assert time.process_time() - began < 0.5
    child.stop()


def test_a_process_that_has_closed_its_pipes_is_given_time_to_end(tmp_path, monkeypatch):
    program = tmp_path / "dying"
    program.write_text("#!/bin/sh\nexec >&- 2>&-\nsleep 0.02\nexit 7\n")
    program.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(program))
    child = WatchChild("kipmi", {})
    assert select.select([child._process.stdout], [], [], 15)[0]
    with pytest.raises(ChildLost, match="it ended, exit status 7"):
        child.read()


def test_the_process_may_open_as_many_files_as_the_machine_allows(make):
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, before[1]), before[1]))
    try:
        bridge = make()
        bridge.poll()
        limits = Path(f"/proc/{pid_of(bridge)}/limits")
        wanted = [str(before[1])] * 2
        assert poll_until(bridge, lambda: limits.read_text().partition("open files")[2].split()[:2] == wanted)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
