"""begin_heal: who may heal now, with the real guardrails, state, inventory and ping."""

from __future__ import annotations

import re
import threading
import time
from functools import partial

import pytest

from bmc_healer.bmc.ping import sweep
from bmc_healer.errors import StateError
from bmc_healer.state.documents import MassOutage, PastHeal
from bmc_healer.state.stamp import utc
from bmc_healer.state.store import Store
from bmc_healer.verbs import begin_heal as verb
from bmc_healer.verbs import perform
from bmc_healer.verbs.begin_heal import begin_heal
from bmc_healer.verbs.tidy import tidy
from lab.sim import BmcSim
from tests.unit.clock import NOW, Clock
from tests.unit.state.fake_datastore import FakeDatastore
from tests.unit.verbs import SILENT_PORT, VerbRuntime, config, host, locks, runtime

INCIDENT = "db01-20261118-110640"  # at NOW


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """A simulator on this machine answers in milliseconds: nobody has to wait a second for each attempt."""
    monkeypatch.setattr(verb, "sweep", partial(sweep, timeout=0.2))


def begin(rt, **parameters):
    given = {"host": "db01", "reason": "It is slow.", "source": "person", "execution": "e1", **parameters}
    return begin_heal(rt, given)


def refused(answer, outcome="refused"):
    assert (answer["outcome"], answer["next"], answer["incident"]) == (outcome, "tell_end", "")
    return answer["sentence"]


def has_begun(rt, answer):
    assert (answer["next"], answer["outcome"]) == ("diagnose", None), answer["sentence"]
    (lock,) = locks(rt)
    assert (lock.host, lock.incident) == (answer["host"], answer["incident"])
    return True


def healed_before(rt, *ages):
    for number, age in enumerate(ages):
        heal = PastHeal(f"db01-20261101-00000{number}", "db01", ("rack=r12",), NOW - age)
        Store(rt.datastore, rt.clock).write(f"bmc_healer:h:db01:heal:{heal.incident}:", vars(heal))


def test_a_heal_begins_with_a_lock_a_fence_and_an_incident():
    rt = runtime()
    answer = begin(rt, key="k1", force=True, rungs=["oob", "inband"])
    assert has_begun(rt, answer) and answer["incident"] == INCIDENT
    (lock,) = locks(rt)
    assert (lock.execution, lock.bmc_address, lock.labels) == (
        "e1",
        f"127.0.23.1:{SILENT_PORT}",
        ("rack=r12",),
    )
    assert rt.state.host("db01").fence.incident == INCIDENT
    incident = rt.state.incident(INCIDENT)
    assert incident["rungs"] == ["inband", "oob"], "the order is fixed"
    assert (incident["bmc_ip"], incident["next"]["task"]) == ("127.0.23.1", "diagnose")
    assert (incident["key"], incident["force"], incident["plan_only"]) == ("k1", True, False)
    assert incident["outcome"] is None and incident["steps"] == []


def test_a_host_is_found_in_any_case():
    rt = runtime()
    assert has_begun(rt, begin(rt, host="DB01", asked_host="Db01"))


@pytest.mark.parametrize(
    "name",
    [
        "db02",
        "",
        "db01; reboot",
        "db01\n",
        "../db01",
        "$(reboot)",
        "-oProxyCommand=x",
        "ä",
        "d" * 300,
        "db01 db02",
    ],
)
def test_an_unknown_or_malformed_host_is_refused_and_nothing_is_touched(name):
    rt = runtime()
    answer = begin(rt, host=name)
    sentence = refused(answer)
    assert sentence.isprintable() and sentence.endswith(".") and len(sentence) < 200
    assert not name or name not in sentence, "chat is not shown what was typed"
    assert answer["host"] == ""
    assert rt.datastore.operations == []


@pytest.mark.parametrize(
    ("source", "told"), [("chat", "end"), ("person", "tell_end"), ("sensor", "tell_end")]
)
@pytest.mark.parametrize("given", [{"host": "db99"}, {"asked_host": "db02"}])
def test_a_typo_in_chat_is_told_to_who_made_it_alone(source, told, given):
    assert begin(runtime(), source=source, **given)["next"] == told


def test_a_misspelt_host_hears_what_is_near():
    assert refused(begin(runtime(), host="db001")).endswith("in the configuration; near it: db01.")


@pytest.mark.parametrize("name", ["db02", "db01 db02"])
def test_a_command_that_names_two_hosts_is_refused(name):
    rt = runtime(config({"db01": host(1), "db02": host(2)}))
    answer = begin(rt, host=name, asked_host="db01")
    assert refused(answer) == "The command names two hosts." and answer["host"] == ""
    assert rt.datastore.operations == []


@pytest.mark.parametrize("rungs", [["power"], ["inband", "load"], ["reap"], ["oob", "x" * 1000]])
def test_a_rung_that_nobody_may_choose_is_refused(rungs):
    sentence = refused(begin(runtime(), rungs=rungs))
    assert sentence == "There is no such rung. Choose from inband, unload, oob; the order is fixed."


@pytest.mark.parametrize(
    ("target", "typed"), [("host=db01", "db01"), ("rack=r12", "rack:r12"), ("fleet", "fleet")]
)
def test_a_pause_refuses_until_it_ends(target, typed):
    rt = runtime()
    rt.state.pause(target, by="jane", reason="switch work", until=NOW + 60)
    for forced in (False, True):
        sentence = refused(begin(rt, force=forced))
        assert "jane" in sentence and "switch work" in sentence and "2026-11-18 11:07:40 UTC" in sentence
        assert f"What to do: bmc resume {typed}. Not before 2026-11-18 11:07:40 UTC." in sentence
    assert locks(rt) == ()
    rt.clock.sleep(61)
    assert has_begun(rt, begin(rt))


@pytest.mark.parametrize("target", ["host=db011", "host=db0", "rack=r1", "rack=r122"])
def test_a_pause_of_another_is_none_of_ours(target):
    rt = runtime()
    rt.state.pause(target, by="jane", reason="switch work")
    assert has_begun(rt, begin(rt))


def test_the_cooldown_yields_to_force_and_to_time():
    rt = runtime()
    healed_before(rt, 600)
    assert refused(begin(rt)).endswith("Not before 2026-11-18 11:56:40 UTC.")
    assert has_begun(rt, begin(rt, force=True))


def test_a_host_that_was_healed_too_often_today_is_escalated_in_spite_of_force():
    rt = runtime()
    healed_before(rt, 7200, 10800, 14400)
    rt.state.remember("db01", bios="2.19", firmware="7.0")
    told = refused(begin(rt, force=True), outcome="escalated")
    assert "3 times within a day" in told and "BIOS 2.19, BMC firmware 7.0" in told
    assert locks(rt) == ()


def test_an_escalated_host_waits_for_a_person():
    rt = runtime()
    rt.state.latch("db01", "db01-20261101-000000", "The ladder ended without health.")
    sentence = refused(begin(rt, force=True))
    assert ": The ladder ended without health (latch: db01-20261101-000000)." in sentence
    rt.state.resume("host=db01")
    assert has_begun(rt, begin(rt))


@pytest.mark.parametrize(
    ("mode", "source", "locked"),
    [
        ("auto", "sensor", True),
        ("auto", "chat", True),
        ("propose", "sensor", False),
        ("propose", "chat", True),
        ("observe", "sensor", False),
        ("observe", "chat", False),
    ],
)
def test_the_mode_says_who_may_act(mode, source, locked):
    rt = runtime(config(mode=mode))
    answer = begin(rt, source=source)
    assert answer["next"] == "diagnose"
    assert bool(locks(rt)) == locked
    incident = rt.state.incident(answer["incident"])
    assert incident["plan_only"] is not locked and incident["mode"] == mode
    assert locked or f"mode is {mode}" in answer["sentence"]


def test_a_dry_run_takes_no_lock_and_passes_no_guardrail_either():
    rt = runtime()
    answer = begin(rt, dry_run=True)
    assert answer["next"] == "diagnose" and locks(rt) == ()
    assert rt.state.incident(answer["incident"])["plan_only"] is True
    rt.state.pause("fleet", by="jane", reason="switch work")
    refused(begin(rt, dry_run=True))


def test_of_two_that_begin_at_once_one_wins_and_the_other_hears_who():
    datastore, answers = FakeDatastore(), []
    settings = config(settle_seconds=0.3)

    def one():
        rt = VerbRuntime(settings, datastore, environ={}, clock=time.time, sleep=time.sleep)
        answers.append(begin(rt))

    threads = [threading.Thread(target=one) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rt = runtime(settings, datastore, Clock(time.time()))
    winner, loser = sorted(answers, key=lambda answer: answer["next"])
    assert has_begun(rt, winner)
    sentence = refused(loser)
    assert loser["rule"] == "lock"
    assert winner["incident"] in sentence and re.search(
        r"since 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC", sentence
    )


def test_two_hosts_behind_one_bmc_are_not_healed_at_once():
    """Refused at load where it can be seen; two names may lead to one address all the same."""
    rt = runtime(config({"db01": host(1), "db02": host(2)}))
    assert has_begun(rt, begin(rt))
    again = runtime(config({"db02": host(1)}), rt.datastore, rt.clock)
    assert "(as that of db01)" in refused(begin(again, host="db02"))


def racks(port):
    """db01 is ill; the others of its rack and of the next are at addresses where nobody answers."""
    hosts = {"db01": host(1, "r12"), "alive": host(1, "r12", port)}
    hosts["alive"]["bmc"]["address"] = "127.0.0.1"
    return hosts | {f"db{number:02}": host(number, "r12") for number in range(2, 6)}


@pytest.fixture(scope="module")
def sim():
    with BmcSim() as running:
        yield running


def test_some_silent_neighbours_are_no_mass_outage(sim):
    rt = runtime(config(racks(sim.lan_port)))
    assert has_begun(rt, begin(rt))


def test_many_silent_neighbours_are_a_mass_outage_also_with_force(sim):
    rt = runtime(config(racks(sim.lan_port) | {"db06": host(6, "r12")}))
    for parameters in ({}, {"force": True}, {"dry_run": True}):
        sentence = refused(begin(rt, **parameters))
        assert "5 of 6 BMCs of rack=r12 are silent at once" in sentence and "Nothing is reset" in sentence
    assert locks(rt) == ()


def test_an_outage_that_no_label_shows_is_seen_in_the_sample():
    hosts = {f"db{number:02}": host(number) for number in range(1, 7)}
    assert "BMCs of the fleet are silent" in refused(begin(runtime(config(hosts))))


def test_a_mass_outage_that_a_sensor_saw_refuses():
    rt = runtime()
    outage = MassOutage("rack=r12", ("db01", "db02", "db03"), NOW - 60, NOW + 600)
    rt.state.declare_mass_outage(outage.label, outage.hosts, outage.until)
    assert "3 hosts of rack=r12 failed at once" in refused(begin(rt, source="chat"))


@pytest.mark.parametrize("name", ["localhost", "nobody.invalid"])
def test_a_neighbour_whose_bmc_is_given_by_name_does_not_stop_the_heal(name):
    neighbour = host(2, "r12", address="db02")
    neighbour["bmc"]["address"] = name
    rt = runtime(config({"db01": host(1, "r12"), "db02": neighbour}))
    assert has_begun(rt, begin(rt))


def test_bringing_back_a_host_that_needs_it_not_is_over_at_once_and_not_told():
    rt = runtime()
    answer = begin(rt, rungs=["load"], source="sensor")
    assert (answer["next"], answer["outcome"]) == ("end", "not_needed")
    assert locks(rt) == ()


RECOVERY = {"rungs": ["load"], "source": "sensor", "key": "db01:oob:1:recovered"}


def test_that_nothing_is_to_be_brought_back_uses_the_recovery_up():
    rt = runtime()
    assert begin(rt, **RECOVERY)["outcome"] == "not_needed"
    assert rt.state.acknowledged("db01") == {RECOVERY["key"]}


def test_a_recovery_is_not_used_up_while_a_heal_is_at_work():
    """It may yet unload the driver, and end with the host relieved."""
    rt = runtime()
    assert has_begun(rt, begin(rt, key="db01:oob:1", source="sensor"))
    assert begin(rt, **RECOVERY)["outcome"] == "not_needed"
    assert rt.state.acknowledged("db01") == frozenset()


def test_that_a_recovery_cannot_be_acknowledged_is_not_told(monkeypatch):
    rt = runtime()

    def down(*_):
        raise StateError("the datastore does not answer")

    monkeypatch.setattr(rt.state, "acknowledge", down)
    assert begin(rt, **RECOVERY)["next"] == "end"


def test_chat_does_not_hear_that_a_heal_holds_off_the_news_of_its_own_success():
    rt = runtime()
    assert has_begun(rt, begin(rt, key="db01:oob:1", source="sensor"))
    rt.state.remember("db01", unloaded_boot="b00t")
    answer = begin(rt, **RECOVERY)
    assert (answer["outcome"], answer["rule"], answer["next"]) == ("refused", "lock", "end")
    assert rt.state.acknowledged("db01") == frozenset()
    assert begin(rt, **RECOVERY | {"key": "db01:oob:2:recovered"})["next"] == "tell_end"


@pytest.mark.parametrize("memory", [{"unloaded_boot": "b00t"}, {"throttled_from": 0}])
def test_a_relieved_host_is_brought_back_in_spite_of_the_cooldown(memory):
    rt = runtime()
    rt.state.remember("db01", **memory)
    healed_before(rt, 600)
    assert has_begun(rt, begin(rt, rungs=["load"], source="sensor"))


def test_two_relieved_hosts_of_one_rack_are_brought_back_at_once_and_hold_nobody_off():
    hosts = {f"db0{number}": host(number, "r12") for number in (1, 2, 3)}
    rt = runtime(config(hosts, concurrent_label=1, heals_per_host_per_day=3))
    healed_before(rt, 600, 5000, 9000)
    for name in ("db01", "db02"):
        rt.state.remember(name, unloaded_boot="b00t")
        answer = begin(rt, host=name, rungs=["load"], source="sensor")
        assert answer["next"] == "diagnose", answer["sentence"]
    assert begin(rt, host="db03")["next"] == "diagnose", "a heal of another host of the rack"
    assert [(one.host, one.resets) for one in sorted(locks(rt), key=lambda one: one.host)] == [
        ("db01", False),
        ("db02", False),
        ("db03", True),
    ]


def test_recovery_also_looks_at_an_escalated_host():
    rt = runtime()
    rt.state.latch("db01", "db01-20261101-000000", "The ladder ended without health.")
    assert has_begun(rt, begin(rt, rungs=["load"], source="sensor"))


@pytest.mark.parametrize("mode", ["propose", "observe"])
def test_bringing_back_obeys_pause_and_mode(mode):
    rt = runtime(config(mode=mode))
    rt.state.remember("db01", unloaded_boot="b00t")
    assert begin(rt, rungs=["load"], source="sensor")["next"] == "diagnose" and locks(rt) == ()
    rt.state.pause("fleet", by="jane", reason="switch work")
    refused(begin(rt, rungs=["load"], source="sensor"))


def proposed(rt, **changes):
    proposal = {
        "id": "db01-20261118-100000",
        "host": "db01",
        "started_at": NOW - 700,
        "ended_at": NOW - 600,
        "outcome": "proposed",
        **changes,
    }
    rt.state.save_incident(proposal)
    return proposal["id"]


def test_a_person_approves_a_proposal_within_half_an_hour():
    rt = runtime(config(mode="propose"))
    answer = begin(rt, source="chat", approves=proposed(rt))
    assert has_begun(rt, answer)
    assert rt.state.incident(answer["incident"])["approves"] == "db01-20261118-100000"


@pytest.mark.parametrize(
    ("changes", "parameters", "why"),
    [
        ({"ended_at": NOW - 1801}, {}, "older than 1800 s"),
        ({"ended_at": None}, {}, "older than"),
        ({"host": "db02"}, {}, "is no proposal for it"),
        ({"outcome": "healed"}, {}, "is no proposal for it"),
        ({"outcome": None}, {}, "is no proposal for it"),
        ({}, {"approves": "db01-20261118-999999"}, "is no proposal for it"),
        ({}, {"approves": "db01; reboot"}, "is no proposal for it"),
        ({}, {"source": "sensor"}, "Only a person"),
    ],
)
def test_what_cannot_be_approved(changes, parameters, why):
    rt = runtime(config(mode="propose"))
    given = {"source": "chat", "approves": proposed(rt, **changes), **parameters}
    assert why in refused(begin(rt, **given))
    assert locks(rt) == ()


@pytest.mark.parametrize("skew", [31.0, -31.0])
def test_a_clock_that_is_wrong_refuses(skew, monkeypatch):
    monkeypatch.setattr(VerbRuntime, "skew", skew)
    assert "clock is 31 s" in refused(begin(runtime()))


def test_a_sensor_that_repeats_is_told_to_chat_once_an_hour_a_person_each_time():
    rt = runtime()
    rt.state.pause("fleet", by="jane", reason="switch work")
    assert [begin(rt, source="sensor")["next"] for _ in range(3)] == ["tell_end", "end", "end"]
    assert [begin(rt, source="chat")["next"] for _ in range(2)] == ["tell_end", "tell_end"]
    rt.clock.sleep(3601)
    assert begin(rt, source="sensor")["next"] == "tell_end"


def test_a_datastore_that_is_down_claims_nothing():
    rt = runtime()
    rt.datastore.down = True
    with pytest.raises(StateError):
        begin(rt)
    ok, answer = perform("begin_heal", {"host": "db01"}, config(), rt.datastore, rt.logger)
    assert not ok and answer["error"] == "StateError" and answer["sentence"].endswith(".")
    rt.datastore.down = False
    assert rt.datastore.rows == {}


def test_a_datastore_that_forgets_or_is_stale_claims_nothing():
    for fault in ({"lose_writes": True}, {"stale": {}}):
        rt = runtime()
        vars(rt.datastore).update(fault)
        with pytest.raises(StateError):
            begin(rt)
        vars(rt.datastore).update(lose_writes=False, stale=None)
        assert locks(rt) == ()


@pytest.mark.parametrize("broken_at", range(1, 24))
def test_a_datastore_that_breaks_on_the_way_leaves_nothing_that_stays(broken_at):
    """From its nth operation on, and for good. Then it is back: the host is free, or tidy frees it."""
    rt = runtime(config({"db01": {"transport": "none", "bmc": host()["bmc"]}}))
    seen = []

    def breaks(operation):
        seen.append(operation)
        rt.datastore.down = len(seen) >= broken_at

    rt.datastore.before = breaks
    begun = None
    try:
        begun = begin(rt)
    except StateError as error:
        assert error.sentence.endswith(".")
    rt.datastore.before = lambda operation: None
    rt.datastore.down = False
    if begun is not None:
        assert has_begun(rt, begun) and rt.state.incident(begun["incident"])
        return
    rt.clock.sleep(121)
    assert tidy(rt, {"host": "db01"})["freed"], "what is held has no heartbeat"
    assert locks(rt) == ()
    assert has_begun(rt, begin(rt))


REFUSALS = [  # rule, its value, what to do, when again
    ("pause", "fleet", "bmc resume fleet", None),
    ("pause", "rack=r12", "bmc resume rack:r12", 600),
    ("cooldown_seconds", "3600", "wait, or start bmc_healer.heal with force (web UI or command line)", 3000),
    ("latch", "db01-20261101-000000", "once a person has looked at it: bmc resume db01", None),
    ("lock", INCIDENT, "wait for its end; a heal that died is found and cleared within five minutes", 600),
    ("credential", "lab", "mend it, then: bmc resume credential:lab", None),
]


@pytest.mark.parametrize(("rule", "value", "do", "seconds"), REFUSALS, ids=lambda given: str(given)[:20])
def test_a_refusal_names_rule_value_what_to_do_and_when(rule, value, do, seconds):
    rt = runtime()
    if rule == "pause":
        rt.state.pause(value, by="jane", reason="switch work", until=NOW + seconds if seconds else None)
    elif rule == "cooldown_seconds":
        healed_before(rt, 600)
    elif rule == "latch":
        rt.state.latch("db01", value, "The ladder ended without health")
    elif rule == "credential":
        rt.state.stop_credential(value, "two BMCs refused it")
    else:
        begin(rt)
    answer = begin(rt)
    assert (answer["rule"], answer["value"]) == (rule, value)
    again = f" Not before {utc(answer['retry_at'])}." if answer["retry_at"] else ""
    sentence = answer["sentence"]
    assert not sentence.startswith("db01: "), "whoever shows it names the host"
    assert sentence.endswith(f" ({rule}: {value}). What to do: {do}.{again}")
    if rule != "lock":  # which counts from when it was met
        assert answer["retry_at"] == (NOW + seconds if seconds else None)
    assert bool(again) == bool(seconds) and ".." not in sentence and ". (" not in sentence
