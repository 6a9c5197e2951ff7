"""The need for a deed, seen again directly before it, and the end of a heal whose need has passed."""

from __future__ import annotations

from contextlib import ExitStack, nullcontext
from dataclasses import replace
from types import SimpleNamespace

import pytest

from bmc_healer.config.settings import GuardrailSettings, WatchSettings
from bmc_healer.diagnosis import Verdict, diagnose
from bmc_healer.gates import ResetProof
from bmc_healer.outcome import conclude
from bmc_healer.verbs import diagnose as diagnose_verb
from bmc_healer.verbs import end_heal, host_rungs, verify
from bmc_healer.verbs.begin_heal import begin_heal
from bmc_healer.verbs.step import Step
from tests.unit import made
from tests.unit.clock import Clock
from tests.unit.state.fake_datastore import FakeDatastore
from tests.unit.verbs import VerbRuntime, config, first_looks_ended, host, runtime

PLAN = ["unload", "throttle", "oob", "load"]
SPINS = made.found(made.host((made.STUCK,), kipmi=100.0), made.bmc())
BUSY = made.found(made.host((made.BUSY,), kipmi=20.0), made.bmc(), made.ANSWER)
FLASHES = made.found(
    made.host((made.STUCK,), clients=(made.client(program="yafuflash", kind="flash"),)), made.bmc()
)


class OnHost(VerbRuntime):
    """There is a way onto the host; what is seen there is the test's to say."""

    def access(self, host):
        return nullcontext(self)


@pytest.fixture
def rt(request):
    """A heal of db01 has begun, `unload_driver` is due."""
    clock = Clock()
    given = {"host": "db01", "execution": "e1", **getattr(request, "param", {})}
    rt = OnHost(
        config({"db01": host(1)}, booting_seconds=600), FakeDatastore(), environ={}, clock=clock,
        steady=clock, sleep=clock.sleep,
    )  # fmt: skip
    rt.ran = begin_heal(runtime(rt.config, rt.datastore, clock), given)["incident"]
    first_looks_ended()
    due(rt, "unload_driver")
    return rt


def due(rt, task, index=0, **changes):
    incident = rt.state.incident(rt.ran)
    rt.state.save_incident({**incident, "plan": PLAN, "next": {"task": task, "index": index}, **changes})


def look(found, watch=WatchSettings()):  # noqa: B008 - frozen
    return found, diagnose(found, watch, GuardrailSettings())


def unload(rt, monkeypatch, found):
    """The rung `unload`, which sees this; and whether the driver was touched."""
    touched = []
    monkeypatch.setattr(host_rungs.look, "gather", lambda *_, **__: look(found))
    monkeypatch.setattr(host_rungs.unload, "unload", lambda *_, **__: touched.append(1))
    return host_rungs.unload_ipmi(rt, {"host": "db01", "incident": rt.ran}), touched


def test_a_bmc_that_answers_again_keeps_its_driver(rt, monkeypatch):
    """Without the driver nobody could tell any more, and the reset would follow."""
    answer, touched = unload(rt, monkeypatch, BUSY)
    assert (answer["verdict"], answer["next"], touched) == ("well", "reset_out_of_band", [])
    assert "Busy, not hung" in answer["sentence"]
    assert rt.state.memory("db01").unloaded_boot in (None, "")


def test_firmware_that_is_being_written_keeps_its_driver(rt, monkeypatch):
    answer, touched = unload(rt, monkeypatch, FLASHES)
    assert (answer["verdict"], answer["next"], touched) == ("stop", "finish_heal", [])


def step(rt):
    return Step(rt, "unload_driver", {"host": "db01", "incident": rt.ran})


@pytest.mark.parametrize("rt", [{}, {"force": True}], indirect=True)
def test_a_bmc_that_boots_behind_our_own_unload_is_not_reset(rt):
    unloaded = made.found(made.no_device(), made.bmc(), unloaded_boot="b00t")
    found, diagnosis = look(unloaded)
    assert (diagnosis.verdict, step(rt).why_not(diagnosis, found)) == (Verdict.UNLOADED, None)
    found, diagnosis = look(replace(unloaded, memory=replace(unloaded.memory, lan_dark_at=made.NOW - 60)))
    assert diagnosis.verdict is Verdict.UNLOADED
    verdict, sentence = step(rt).why_not(diagnosis, found)
    assert verdict == "stop" and "silent 60 s ago" in sentence


@pytest.mark.parametrize(
    ("found", "sent_ago", "settled"),
    [
        (made.found(made.host((made.STUCK,)), made.bmc(device_available=False)), 60.0, False),  # it comes up
        (made.found(made.host((made.STUCK,)), made.bmc()), 60.0, False),
        (made.found(made.host((made.STUCK,)), made.bmc()), 601.0, True),
        (BUSY, 60.0, True),
        (BUSY, -60.0, False),  # it may still be sent
    ],
)
def test_a_dead_heal_s_reset_is_over_when_in_band_answers_or_a_boot_has_had_its_time(
    found, sent_ago, settled
):
    closed = []
    intent = SimpleNamespace(rung="oob", incident="dead", not_after=made.NOW - sent_ago)
    state = SimpleNamespace(open_intents=lambda _: (intent,), close_intent=lambda *_: closed.append(1))
    settings = SimpleNamespace(guardrails=GuardrailSettings(booting_seconds=600))
    rt = SimpleNamespace(state=state, config=settings, clock=lambda: made.NOW)
    diagnose_verb._settle_old_resets(rt, SimpleNamespace(name="db01"), "new", look(found)[1])
    assert bool(closed) is settled


@pytest.mark.parametrize("rt", [{"force": True}], indirect=True)
def test_force_spares_the_symptom_of_the_first_reset_only(rt):
    found, diagnosis = look(BUSY)
    assert step(rt).why_not(diagnosis, found) is None
    due(rt, "unload_driver", steps=[{"step": "gate_in_band_reset", "verdict": "passed", "proof": True}])
    assert step(rt).why_not(diagnosis, found)[0] == "well"


def ended(rt, outcome, key="k1", **changes):
    incident = {**rt.state.incident(rt.ran), "key": key, **changes}
    end_heal.close(rt, incident, end_heal.Ending(outcome, "", "It ended."))
    return rt.state.acknowledged("db01")


@pytest.mark.parametrize(
    ("outcome", "taken_up"),
    [("healed", True), ("escalated", True), ("relieved", True), ("proposed", True), ("not_needed", True),
     ("refused", False)],
)  # fmt: skip
def test_a_sensor_s_incident_is_used_up_by_an_end_and_not_by_a_refusal(rt, outcome, taken_up):
    """Also by one that came late: paused, or died, before the first deed."""
    assert ended(rt, outcome) == (frozenset({"k1"}) if taken_up else frozenset())


@pytest.mark.parametrize(
    ("outcome", "taken_up"),
    [("not_needed", True), ("escalated", True), ("proposed", True), ("relieved", False), ("refused", False)],
)
def test_a_recovery_is_used_up_by_an_end_unless_the_bmc_has_fallen_silent_again(rt, outcome, taken_up):
    assert bool(ended(rt, outcome, rungs=["load"])) == taken_up


def test_chat_does_not_hear_that_a_heal_holds_off_its_own_trigger(rt):
    due(rt, "unload_driver", key="k1")
    again = {"host": "db01", "source": "sensor", "execution": "e2"}
    assert begin_heal(rt, {**again, "key": "k1"})["next"] == "end"
    assert begin_heal(rt, {**again, "key": "k2"})["next"] == "tell_end"


@pytest.mark.parametrize(("deed", "happened"), [({"accepted": False}, False), ({"accepted": True}, True)])
def test_a_dark_period_beside_a_reset_that_was_refused_is_not_that_reset_s(rt, deed, happened):
    with ExitStack() as stack:
        silent = step(rt).watch(stack)
        proof = verify._wait_back(step(rt), {"dark": [[1.0, 9.0]], "back": False, **deed}, silent)
    assert proof.happened is happened


@pytest.mark.parametrize(
    ("deed", "happened"),
    [
        ({"accepted": True, "inband_silence": True}, True),
        ({"accepted": True, "inband_silence": False, "completed_delta": 5}, False),  # a cable was plugged in
        ({"accepted": False, "inband_silence": True}, False),
    ],
)
def test_a_lan_side_that_is_back_proves_a_reset_only_with_the_silence_of_in_band(
    rt, monkeypatch, deed, happened
):
    record = {"step": "reset_in_band", "verdict": "done", "evidence": {"watched": True, **deed}}
    due(rt, "gate_in_band_reset", steps=[record], diagnosis="lan_only_dead", plan=["inband"])
    back = ResetProof(None, session_dead=False, back=True, steady=True)
    monkeypatch.setattr(verify, "_wait_back", lambda *_: back)
    monkeypatch.setattr(verify, "_wait_answers", lambda *_: 3)
    gate = Step(rt, "gate_in_band_reset", {"host": "db01", "incident": rt.ran})
    result, _, proof = verify._in_band_reset(gate)
    assert (result.passed, proof) == (happened, happened)


def test_a_reset_that_left_a_doubt_is_proven_all_the_same(rt, monkeypatch):
    """The last gate asks again for what was missing; what it then finds is this heal's doing."""
    due(rt, "gate_out_of_band_reset", 2)
    monkeypatch.setattr(verify, "_wait_back", lambda *_: ResetProof(61.0, False, back=True, steady=True))
    monkeypatch.setattr(verify, "_session", lambda *_: replace(made.bmc(), power_on=None))
    incident = rt.state.incident(rt.ran)
    rt.state.save_incident({**incident, "baseline": {"power_on": True}})
    told = verify.verify(rt, {"host": "db01", "incident": rt.ran, "gate": "gate_out_of_band_reset"})
    assert (told["verdict"], told["next"]) == ("doubt", "load_driver")
    steps = [
        *rt.state.incident(rt.ran)["steps"],
        {"step": "gate_health", "verdict": "passed", "sentence": "."},
    ]
    assert conclude(steps, end_heal.LastLook(True, True, False, False)).healed_by == "oob"


@pytest.mark.parametrize("answers", [True, False])
def test_relieved_is_only_who_has_nothing_to_answer_with(rt, monkeypatch, answers):
    """A hang was found and the LAN side is dead; in-band may have come back meanwhile."""
    seen = made.ANSWER if answers else made.NO_ANSWER
    monkeypatch.setattr(end_heal, "observe", lambda *_, **__: made.host())
    monkeypatch.setattr(end_heal, "inband_answer", lambda *_, **__: seen)
    monkeypatch.setattr(end_heal.lease, "give_back", lambda *_, **__: None)
    incident = {**rt.state.incident(rt.ran), "diagnosis": "hung_dark", "baseline": {"boot_id": "b00t"}}
    found = end_heal.last_look(rt, rt.host("db01"), incident)
    assert (found.lan_dead, found.inband_dead) == (True, not answers)
