"""What people hear of status, pause and resume: also of a wider pause, and of a heal that runs."""

from __future__ import annotations

import json
from functools import partial

import pytest

from bmc_healer.bmc.ping import sweep
from bmc_healer.errors import HealerError
from bmc_healer.state.outbox import Message
from bmc_healer.verbs import begin_heal as begin_heal_module
from bmc_healer.verbs import people
from bmc_healer.verbs.begin_heal import begin_heal
from bmc_healer.verbs.people import notify, pause, resume, status
from tests.unit.clock import NOW
from tests.unit.verbs import config, host, runtime


@pytest.mark.parametrize(
    ("target", "typed", "who"),
    [
        ("host=db01", "db01", "It"),
        ("rack=r12", "rack:r12", "The label rack:r12"),
        ("fleet", "fleet", "The fleet"),
    ],
)
def test_the_status_of_a_host_tells_of_a_pause_that_covers_it(target, typed, who):
    rt = runtime()
    rt.state.pause(target, by="jane", reason="switch work", until=NOW + 60)
    known = status(rt, {"host": "db01"})
    assert known["paused"] == typed
    assert f" {who} is paused by jane, until 2026-11-18 11:07:40 UTC: switch work." in known["sentence"]
    rt.clock.sleep(61)
    known = status(rt, {"host": "db01"})
    assert known["paused"] is None and "paused" not in known["sentence"]


def test_a_pause_without_an_end_lasts_until_resumed():
    rt = runtime()
    rt.state.pause("fleet", by="jane", reason="switch work")
    assert "fleet is paused by jane, until resumed: switch work." in status(rt, {"host": "db01"})["sentence"]


@pytest.mark.parametrize("target", ["host=db02", "rack=r13"])
def test_a_pause_of_others_is_not_told(target):
    rt = runtime()
    rt.state.pause(target, by="jane", reason="switch work")
    assert status(rt, {"host": "db01"})["paused"] is None


def test_the_status_says_that_chat_has_not_heard_all():
    rt = runtime()
    assert "Chat" not in status(rt, {})["sentence"]
    rt.state.outbox.put(Message("m1", "a title", "a text", NOW))
    assert "Chat has not heard 1 message yet." in status(rt, {})["sentence"]


@pytest.fixture
def healing(monkeypatch):
    """db01 is being healed, and a diagnosis is due; db02 is not."""
    monkeypatch.setattr(begin_heal_module, "sweep", partial(sweep, timeout=0.1))
    rt = runtime(config({"db01": host(1, "r12", transport="none"), "db02": host(2, "r13")}))
    begun = begin_heal(rt, {"host": "db01", "source": "chat", "execution": "e1"})
    assert begun["next"] == "diagnose", begun["sentence"]
    return rt, begun["incident"]


@pytest.mark.parametrize("asked", [{}, {"host": "db01"}])
def test_who_waits_in_chat_hears_how_far_a_heal_is(healing, asked):
    rt, incident = healing
    assert f"({incident}), now: diagnose." in status(rt, asked)["sentence"]


def test_a_heal_that_just_ended_is_not_at_work_on_anything(healing):
    rt, incident = healing
    rt.state.save_incident({**rt.state.incident(incident), "next": {"task": "", "index": 0}})
    assert f"({incident})." in status(rt, {})["sentence"]


@pytest.mark.parametrize(
    ("target", "stops"), [("fleet", 1), ("rack:r12", 1), ("db01", 1), ("rack:r13", 0), ("db02", 0)]
)
def test_a_pause_says_which_heals_it_stops(healing, target, stops):
    rt, _ = healing
    sentence = pause(rt, {"target": target, "reason": "switch work."})["sentence"]
    assert "switch work." in sentence and ".." not in sentence
    assert ("stopped before the next deed: db01." in sentence) == bool(stops)


@pytest.mark.parametrize("minutes", [-1, float("nan"), 1e308])
def test_a_pause_of_no_length_changes_nothing(minutes):
    rt = runtime()
    with pytest.raises(HealerError, match="minutes must be from 0"):
        pause(rt, {"target": "fleet", "minutes": minutes})
    assert rt.state.fleet().pauses == ()


def test_a_sweep_of_a_silent_fleet_counts_all_names_some_and_stays_small(monkeypatch):
    monkeypatch.setattr(people, "sweep_bmcs", partial(sweep, timeout=0.01))
    name = ".".join(["h" * 40] * 5)
    bmcs = {n: {"address": f"127.1.{n // 250}.{n % 250}", "credential": "lab"} for n in range(1000)}
    hosts = {f"{name}{n:03}": {"transport": "none", "bmc": bmc} for n, bmc in bmcs.items()}
    told = people.sweep(runtime(config(hosts)), {})
    assert (told["asked"], told["answered"], len(told["silent"])) == (1000, 0, people.LISTED)
    assert told["sentence"].startswith("0 of 1000 BMCs answer. Silent: ")
    assert told["sentence"].endswith(" and 980 more.")
    assert len(json.dumps(told)) < 100_000


@pytest.mark.parametrize("wider", ["fleet", "rack=r12"])
def test_a_host_that_stays_paused_with_others_is_said(wider):
    rt = runtime()
    rt.state.pause(wider, by="jane", reason="switch work")
    typed = wider.replace("=", ":")
    wide = {"fleet": "the fleet", "rack=r12": "the label rack:r12"}[wider]
    unchanged = f"db01 itself was neither paused nor held. It is paused with {wide}: `bmc resume {typed}`."
    assert resume(rt, {"target": "db01"})["sentence"] == unchanged
    pause(rt, {"target": "db01"})
    over = f"db01: the pause is over. It is still paused with {wide}: `bmc resume {typed}`."
    assert resume(rt, {"target": "db01"})["sentence"] == over
    assert resume(rt, {"target": typed})["sentence"] == f"{typed}: the pause is over."
    assert resume(rt, {"target": "db01"})["sentence"] == "db01 was neither paused nor held."


@pytest.mark.parametrize("verb", [pause, resume])
def test_a_text_that_names_two_targets_changes_nothing(verb):
    rt = runtime()
    rt.state.pause("fleet", by="jane", reason="switch work")
    with pytest.raises(HealerError, match="two targets"):
        verb(rt, {"target": "fleet", "target_again": "db01"})
    assert [known.target for known in rt.state.fleet().pauses] == ["fleet"]
    verb(rt, {"target": "rack=r12", "target_again": "rack:r12"})


@pytest.mark.parametrize(
    ("asked", "named"), [("DB01", "db01"), ("nobody", "unknown host"), ("", "unknown host")]
)
def test_a_heal_that_did_not_begin_names_its_host_only_when_it_is_one(asked, named):
    told = notify(runtime(), {"occasion": "end", "host": asked, "outcome": "refused", "text": "Broken off."})
    assert told["title"] == f"{named}: BMC not touched"


def incident(host, outcome, at):
    told = {"id": f"{host}-{at}", "host": host, "started_at": NOW + at, "reason": "It is slow.", "steps": []}
    return {**told, "outcome": outcome, "sentence": "It was so.", "execution": ""}


def test_the_latest_heals_are_told_with_their_outcome():
    rt = runtime(config({"db01": host(1), "db02": host(2)}))
    assert status(rt, {"host": "db01"})["sentence"] == "db01: mode auto. No heal of it is known."
    for at, (name, outcome) in enumerate([("db01", "not_needed"), ("db02", "escalated"), ("db01", None)]):
        rt.state.save_incident(incident(name, outcome, at))
    assert status(rt, {})["sentence"].endswith(
        " Latest: db02 escalated at 2026-11-18 11:06:41 UTC, db01 not needed at 2026-11-18 11:06:40 UTC."
    )
    said = status(rt, {"host": "db01"})["sentence"]
    assert said == "db01: mode auto. Latest: db01 not needed at 2026-11-18 11:06:40 UTC: It was so."


@pytest.mark.parametrize(
    ("source", "outcome", "told"),
    [
        ("sensor", "refused", [True, False, True]),
        ("person", "refused", [True, True, True]),
        ("sensor", "escalated", [True, True, True]),
    ],
)
def test_a_refusal_that_a_sensor_meets_every_ten_minutes_is_told_once_an_hour(source, outcome, told):
    rt = runtime()
    heard = []
    for after in (0, 600, 3000):
        rt.clock.sleep(after)
        found = {"id": rt.state.new_incident_id("db01", rt.clock()), "diagnosis": "booting"}
        one = {**incident("db01", outcome, after), "source": source, **found}
        rt.state.save_incident(one)
        said = notify(rt, {"occasion": "end", "incident": one["id"]})["sentence"]
        assert rt.state.incident(one["id"])["told"] is True
        heard.append("within the hour" not in said)
    assert heard == told


def test_a_host_that_is_held_says_how_it_is_freed():
    rt = runtime()
    rt.state.latch("db01", "db01-1", "It hangs.")
    said = status(rt, {"host": "db01"})["sentence"]
    assert "for a person: It hangs. `bmc resume db01` ends that." in said
