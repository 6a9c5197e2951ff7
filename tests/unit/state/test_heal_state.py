"""Lock, fence, tidy, memory, pauses, credentials, incidents: through the facade."""

import json
from dataclasses import asdict

import pytest

from bmc_healer.errors import StateError
from bmc_healer.state import keys
from bmc_healer.state.documents import Heartbeat
from bmc_healer.state.heal_state import HealState
from bmc_healer.state.heartbeat import overdue, overdue_locks
from bmc_healer.state.refs import HealRef, HostMemory, Refusal


def test_the_lock_names_who_holds_it(claim, state):
    ref = claim(execution="e1", labels=("rack=r12",))
    (lock,) = state.fleet().locks
    assert (lock.host, lock.incident, lock.execution, lock.bmc_address, lock.labels, lock.owner) == (
        "db01",
        ref.incident,
        "e1",
        "10.1.0.1:623",
        ("rack=r12",),
        "st2a",
    )
    assert ref == HealRef("db01", ref.incident, 1, "e1", "10.1.0.1:623")


def test_the_second_one_hears_who_and_since_when(claim):
    first = claim()
    second = claim()
    assert isinstance(second, Refusal) and second.rule == "lock" and second.outcome == "refused"
    assert (second.sentence, second.value) == (
        "It is being healed since 2026-11-18 11:06:42 UTC by st2a",
        first.incident,
    )


def test_a_finished_execution_or_time_alone_frees_nothing(claim, clock):
    claim(execution="long-gone")
    clock.sleep(365 * 86400)
    assert isinstance(claim(), Refusal)


def test_guardrails_refuse_and_nothing_is_left(state):
    no = Refusal("mode", "observe", "not now")
    answer = state.claim(
        host="db01",
        bmc_address=None,
        incident="db01-x",
        execution="",
        label_keys=(),
        settle_seconds=2.0,
        decide=lambda fleet, host: no,
    )
    assert answer is no
    fleet = state.fleet()
    assert fleet.locks == fleet.candidates == ()


@pytest.mark.parametrize("broken_at", range(2, 16))
def test_a_datastore_that_breaks_anywhere_in_a_claim(claim, datastore, state, broken_at):
    """From its nth operation on, and for good: no lock is believed to be held. Then it is back."""
    incident = state.new_incident_id("db01", 0.0)
    seen = []

    def breaks(operation):
        seen.append(operation)
        datastore.down = len(seen) >= broken_at

    datastore.before = breaks
    try:
        answer = claim(incident=incident)
    except StateError:
        answer = None
    datastore.before = lambda operation: None
    datastore.down = False
    held = state.fleet().lock_of(incident)
    assert answer is None or (isinstance(answer, HealRef) and held)


def test_an_answer_that_lost_the_candidate(claim, datastore, state):
    incident = state.new_incident_id("db01", 0.0)
    plain = datastore.set_value
    datastore.set_value = lambda name, *a, **k: "candidate" in name or plain(name, *a, **k)
    with pytest.raises(StateError, match="candidate that was just written"):
        claim(incident=incident)
    datastore.set_value = lambda name, *a, **k: ":lock:" in name or plain(name, *a, **k)
    with pytest.raises(StateError, match="lock that was just written"):
        claim(incident=incident)
    assert state.fleet().candidates == ()


def test_fences_only_grow(claim, state):
    numbers = [state.raise_fence("db01") for _ in range(3)]
    ref = claim()
    state.release(ref)
    assert [*numbers, ref.fence, claim().fence] == [1, 2, 3, 4, 5]
    assert state.host("db10").fence.number == 0


def test_overdue_goes_by_the_heartbeat_of_the_heal_that_holds_the_lock(claim, state, clock):
    ref = claim()
    (lock,) = state.fleet().locks
    clock.sleep(120)
    assert not overdue(lock, state.host("db01"), clock(), 120)
    clock.sleep(1)
    assert overdue(lock, state.host("db01"), clock(), 120)
    stray = Heartbeat("db01-older", clock(), "st2a", 1)
    state._store.write(keys.key(keys.host("db01"), "heartbeat", "db01-older"), asdict(stray))
    assert overdue_locks(state.fleet(), state.host, clock(), 120) == (lock,)
    with state.alive(ref):
        assert overdue_locks(state.fleet(), state.host, clock(), 120) == ()


def test_tidy_frees_the_lock_only_when_nothing_can_be_sent_any_more(claim, state, clock):
    ref = claim()
    with pytest.raises(KeyboardInterrupt), state.deed(ref, "oob", clock() + 60) as deed:
        deed.may_send()
        raise KeyboardInterrupt
    (lock,) = state.fleet().locks
    assert "fence" in state.free_lock(lock, no_marked_process_left=True)
    assert state.raise_fence("db01") == 2
    assert "may still run" in state.free_lock(lock, no_marked_process_left=False)
    assert "may still send" in state.free_lock(lock, no_marked_process_left=True)
    assert isinstance(claim(), Refusal)
    clock.sleep(60)
    assert "may still send" in state.free_lock(lock, no_marked_process_left=True), "by another clock"
    clock.sleep(60)
    assert state.free_lock(lock, no_marked_process_left=True) is None
    assert state.open_intents("db01"), "whether it happened is still not known"
    assert claim().fence == 3


def test_memory_of_two_writers(state):
    assert state.memory("db01") == HostMemory("db01")
    state.remember("db01", hang_proven_at=5.0)
    state.remember("DB01", firmware="2.41", bmc_guid="00" * 16)
    assert state.memory("db01") == HostMemory("db01", "00" * 16, "2.41", hang_proven_at=5.0)
    state.remember("db01", hang_proven_at=None)
    assert state.memory("db01").hang_proven_at is None
    with pytest.raises(TypeError, match="colour"):
        state.remember("db01", colour="red")


def test_latch_until_resumed(state):
    state.latch("db01", "db01-x", "hardware repair")
    assert state.host("db01").latch.sentence == "hardware repair"
    state.resume("host=db01")
    assert state.host("db01").latch is None


def test_a_pause_with_an_end(state, clock):
    state.pause("rack=r12", by="kim", reason="move", until=clock() + 60)
    assert state.fleet().pause_of("db01", ("rack=r12",), clock()).by == "kim"
    assert state.fleet().pause_of("db02", ("rack=r1",), clock()) is None
    clock.sleep(61)
    assert state.fleet().pauses == ()


def test_of_two_pauses_the_longer_one_is_told(state, clock):
    state.pause("fleet", by="kim", reason="x", until=clock() + 60)
    state.pause("host=db01", by="lee", reason="y")
    assert state.fleet().pause_of("db01", (), clock()).by == "lee"


def test_a_password_wrong_on_two_bmcs_stops_its_credential(state, clock):
    assert not state.bad_login("dell", "10.1.0.1:623")
    assert not state.bad_login("dell", "10.1.0.1:623")
    assert not state.bad_login("hpe", "10.1.0.2:623")
    assert state.bad_login("dell", "10.1.0.2:623")
    stop = state.fleet().stop_of("dell")
    assert "10.1.0.1:623, 10.1.0.2:623" in stop.reason
    clock.sleep(10 * 86400)
    assert state.fleet().stop_of("dell"), "until a person has mended it"
    state.allow_credential("dell")
    assert state.fleet().stop_of("dell") is None and not state.bad_login("dell", "10.1.0.3:623")


def test_acknowledged_per_host(state):
    state.acknowledge("db1", "kipmi:db1:1795000000")
    assert state.acknowledged("db1") == {"kipmi:db1:1795000000"}
    assert state.acknowledged("db10") == frozenset()


def test_incident_ids_are_typeable_sortable_and_never_the_same(state, clock):
    first = state.new_incident_id("db01", clock())
    assert first == "db01-20261118-110640"
    again = [state.new_incident_id("db01", clock()) for _ in range(5)]
    assert len({first, *again}) == 6 and all(name.startswith(first + "-") for name in again)
    assert state.new_incident_id("db01", clock() + 1) > first


def test_of_two_that_reserve_one_id_at_once_not_both_keep_it(state, datastore, clock):
    other, taken = HealState(datastore, clock=clock), []

    def rival(operation):
        if operation == "list" and not taken:
            taken.append("")
            taken[0] = other.new_incident_id("db01", clock())

    datastore.before = rival
    assert state.new_incident_id("db01", clock()) != taken[0]


def test_incidents(state, clock):
    for number, host in enumerate(["db01", "db02", "db01"]):
        clock.sleep(1)
        name = state.new_incident_id(host, clock())
        state.save_incident({"id": name, "host": host, "started_at": clock(), "steps": [], "n": number})
    state.new_incident_id("db01", clock() + 99)
    assert [d["n"] for d in state.incidents(10)] == [2, 1, 0]
    assert [d["n"] for d in state.incidents(1)] == [2]
    assert [d["n"] for d in state.incidents(10, "db01")] == [2, 0]
    newest = state.incidents(1)[0]
    assert state.incident(newest["id"]) == newest and "expires_at" not in newest
    state.save_incident({**newest, "outcome": "healed"})
    assert state.incident(newest["id"])["outcome"] == "healed"


NONE = "db01-20261118-110640"


@pytest.mark.parametrize("text", ["", "db01", NONE, "../x", "db01; reboot", NONE + "\n"])
def test_no_such_incident(state, text):
    assert state.incident(text) is None


def test_what_any_watch_saw_of_a_bmc_counts_the_latest_first(state, datastore):
    def saw(watch, **hosts):
        key = keys.key(keys.LAN, keys.fleet_part("db01"), watch)
        datastore.rows[key] = json.dumps({"name": "lan", "document": hosts})

    state.remember("db01", lan_dark_at=50.0, lan_dark_since=40.0, firmware="2.41")
    assert state.memory_and_lan("db01") == state.memory("db01")
    saw("bmc", db01=[100.0, 30.0, 20.0], other=[999.0, 999.0, 999.0])
    learnt = state.memory_and_lan("db01")
    assert (learnt.lan_alive_at, learnt.lan_dark_at, learnt.lan_dark_since) == (100.0, 50.0, 40.0)
    saw("kipmi", db01=[90.0, 80.0, 70.0])
    learnt = state.memory_and_lan("db01")
    assert (learnt.lan_alive_at, learnt.lan_dark_at, learnt.lan_dark_since) == (100.0, 80.0, 70.0)
    assert learnt.firmware == "2.41"
    saw("kipmi", db01="nonsense")
    saw("bmc", db01=["x", None, True])
    assert state.memory_and_lan("db01").lan_dark_at == 50.0


def test_a_mass_outage_that_two_sensors_see_ends_when_both_say_so(state, clock):
    for sensor in ("bmc node1", "bmc node2"):
        state.declare_mass_outage("fleet", ["db01"], clock() + 900, sensor)
    state.end_mass_outage("fleet", "bmc node1")
    assert len(state.fleet().mass_outages) == 1
    state.end_mass_outage("fleet", "bmc node2")
    assert state.fleet().mass_outages == ()
