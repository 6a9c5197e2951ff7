"""What chat is told: each text is read here as a person would, for every way a heal can end."""

from __future__ import annotations

import re

import pytest

from bmc_healer import messages
from bmc_healer.ladder import GATE_TASKS, MOVES, RUNG_TASKS
from bmc_healer.outcome import LastLook, conclude
from bmc_healer.plan import NOTHING_TO_DO

OUTCOMES = ("healed", "relieved", "escalated", "refused", "proposed", "not_needed")
INCIDENT = "db01-20261121-104512"
EVIDENCE = {
    "symptoms": ["kipmi0 at 98 % of a core", "12 ipmitool waiting"],
    "host": {"machine": "Dell PowerEdge R640", "bios": "2.19", "kernel": "5.14.0-503.el9"},
    "bmc": {"firmware": "7.0"},
}
UNKNOWN_EVIDENCE = {
    "host_error": "SSH was refused",
    "bmc": None,
    "bmc_firmware_remembered": None,
    "symptoms": [],
}


def step(name, verdict="done", sentence="It was so.", **changes):
    return {"step": name, "verdict": verdict, "sentence": sentence, "seconds": 12.3, **changes}


def incident(outcome, **changes):
    return {
        "id": INCIDENT,
        "host": "db01",
        "reason": "kipmi.high_cpu: stuck_counters",
        "outcome": outcome,
        "sentence": "The in-band interface hangs.",
        "plan": ["reap", "inband", "oob", "load"],
        "left_out": {"unload": "ipmi_watchdog is loaded: unloading could reboot the host."},
        "steps": [step("diagnose"), step("reset_in_band"), step("gate_in_band_reset", warnings=["Odd."])],
        "evidence": EVIDENCE,
        "mode": "auto",
        **changes,
    }


KINDS = {
    "full": {},
    "nothing is known": {"evidence": UNKNOWN_EVIDENCE, "steps": [], "plan": [], "left_out": {}},
    "ended before its diagnosis": {"evidence": None, "steps": [], "plan": [], "left_out": None},
    "only a plan": {"plan_only": True, "dry_run": True},
}


def reads_well(title, body):
    assert title.startswith("db01: ") and not title.endswith(".") and "\n" not in title
    for text in (title, body):
        assert not re.search(r"[{}<>\[\]]|None|null|\.\.", text.replace("->", "")), text
    for line in body.splitlines():
        assert line.strip() and line == line.rstrip(), body
        whole = line.endswith((".", ")", "`")) or re.match(
            r"(Incident|Machine|Symptoms|Ladder|Why): \S", line
        )
        assert whole, f"not a sentence: {line!r}"
    assert body.splitlines()[-1] == f"Incident: {INCIDENT}"
    return True


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("outcome", OUTCOMES)
def test_every_ending_reads_well(outcome, kind):
    title, body = messages.ended(incident(outcome, **KINDS[kind]))
    assert reads_well(title, body)
    assert body.startswith("The in-band interface hangs.\n"), "the sentence first"


def test_every_outcome_has_its_own_title():
    assert set(messages.TITLES) == set(OUTCOMES)
    assert len(set(messages.TITLES.values())) == len(OUTCOMES)
    assert set(NOTHING_TO_DO.values()) <= set(OUTCOMES)


def test_the_start_says_why_what_and_how():
    title, body = messages.started(incident(None))
    assert reads_well(title, body)
    assert "Why: kipmi.high_cpu: stuck_counters" in body
    assert "Found: It was so." in body
    assert "Ladder: reap -> inband -> oob -> load" in body
    assert "Left out: unload: ipmi_watchdog is loaded" in body


def test_steps_are_told_in_order_with_their_time_and_warnings():
    _, body = messages.ended(incident("healed"))
    lines = body.splitlines()
    assert lines[1] == "- reset in band: It was so. (12 s)"
    assert lines[2:4] == ["- gate in band reset: It was so. (12 s)", "  Note: Odd."]


@pytest.mark.parametrize("task", sorted({*RUNG_TASKS.values(), *GATE_TASKS.values()}))
@pytest.mark.parametrize("verdict", sorted({verdict for _, verdict in MOVES}))
def test_every_step_reads_well(task, verdict):
    assert reads_well(*messages.ended(incident("escalated", steps=[step(task, verdict)])))


@pytest.mark.parametrize("outcome", ["escalated", "relieved"])
@pytest.mark.parametrize(
    ("evidence", "told"),
    [
        (EVIDENCE, "BIOS 2.19, BMC firmware 7.0"),
        ({**UNKNOWN_EVIDENCE, "bios_remembered": "2.18"}, "BIOS 2.18, BMC firmware 6.9"),
        (None, "BIOS 2.17, BMC firmware 6.9"),
    ],
)
def test_firmware_is_in_every_hand_over(outcome, evidence, told):
    known = {"bios": "2.17", "firmware": "6.9"}
    assert told in messages.ended(incident(outcome, evidence=evidence, known=known))[1]


@pytest.mark.parametrize(
    ("host", "told"),
    [
        (
            {"kipmi": [{"name": "kipmi0"}], "builtin": []},
            "`options ipmi_si force_kipmid=0` in /etc/modprobe.d",
        ),
        (
            {"kipmi": [{"name": "kipmi0"}], "builtin": ["ipmi_si"]},
            "`ipmi_si.force_kipmid=0` on the kernel command",
        ),
        ({"kipmi": []}, ""),
    ],
)
def test_an_escalation_advises_how_to_do_without_kipmi(host, told):
    of = {"evidence": {**EVIDENCE, "host": {**EVIDENCE["host"], **host}}}
    title, body = messages.ended(incident("escalated", **of))
    assert reads_well(title, body)
    assert (told in body) if told else ("force_kipmid" not in body)
    assert "force_kipmid" not in messages.ended(incident("healed", **of))[1]


def test_a_proposal_carries_the_command_and_the_evidence():
    _, body = messages.ended(incident("proposed", mode="propose", approvable=True))
    assert f"`!bmc heal db01 {INCIDENT}`" in body and "30 minutes" in body
    assert "BMC firmware 7.0" in body and "12 ipmitool waiting" in body


NEXT = {
    "healed": ({}, ""),
    "not_needed": ({}, ""),
    "escalated": ({}, "`!bmc resume db01` or recovery."),
    "relieved": ({}, "brought back by itself."),
    "proposed": ({"approvable": True}, f"within 30 minutes: `!bmc heal db01 {INCIDENT}`."),
    "refused": ({"ending": {"retry_at": 1_800_000_000.0}}, "Not before 2027-01-15 08:00:00 UTC."),
}


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_what_a_person_does_next(outcome):
    changes, end = NEXT[outcome]
    told = messages.to_do(incident(outcome, **changes))
    assert told.endswith(end) and bool(told) == bool(end) and len(told) < 300
    assert told in messages.ended(incident(outcome, **changes))[1]


def test_a_ladder_that_was_walked_to_its_end_leaves_repair():
    told = messages.to_do(incident("escalated", repair=True))
    assert "power-drain" in told and "`!bmc resume db01`" in told


@pytest.mark.parametrize(
    ("outcome", "changes"),
    [
        ("proposed", {}),
        ("proposed", {"approvable": True, "dry_run": True}),
        ("proposed", {"approvable": True, "mode": "observe"}),
        ("escalated", {"plan_only": True}),
        ("refused", {}),
    ],
)
def test_no_command_that_would_not_work(outcome, changes):
    assert "!bmc" not in messages.to_do(incident(outcome, **changes))


def test_a_dry_run_carries_no_command():
    assert "bmc heal" not in messages.ended(incident("proposed", dry_run=True))[1]


def test_in_observe_no_command_is_printed_that_would_not_work():
    assert "bmc heal" not in messages.ended(incident("proposed", mode="observe"))[1]


def test_who_takes_over_hears_firmware_and_what_to_do():
    for outcome, words in {
        "escalated": "A person takes over",
        "relieved": "is brought back by itself",
    }.items():
        _, body = messages.ended(incident(outcome))
        assert words in body
        assert "Dell PowerEdge R640, BIOS 2.19, BMC firmware 7.0, kernel 5.14.0-503.el9" in body
    assert "`!bmc resume db01`" in messages.ended(incident("escalated"))[1]


def test_a_firmware_that_only_memory_knows_is_told():
    evidence = {"bmc": None, "bmc_firmware_remembered": "6.8"}
    assert "BMC firmware 6.8" in messages.ended(incident("escalated", evidence=evidence))[1]


@pytest.mark.parametrize("outcome", ["healed", "not_needed", "refused"])
def test_what_nobody_has_to_act_upon_stays_short(outcome):
    _, body = messages.ended(incident(outcome))
    assert "Machine:" not in body and "bmc " not in body


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_a_heal_that_did_not_begin(outcome):
    title, body = messages.refused("db01", outcome, "db01 is paused.")
    assert title.startswith("db01: ") and body == "db01 is paused."
    assert messages.refused("", outcome, "")[0].startswith("unknown host: ")


@pytest.mark.parametrize(
    ("count", "tail"), [(1, "h0"), (10, "h9"), (11, "h9 and 1 more"), (3000, "h9 and 2990 more")]
)
def test_a_mass_outage_names_some_and_counts_the_rest(count, tail):
    title, body = messages.mass_outage("rack=r12", [f"h{number}" for number in range(count)])
    assert title == f"rack=r12: {count} BMCs silent at once"
    assert body.endswith(tail) and "nothing is reset" in body and len(body) < 250


def test_a_mass_outage_of_which_only_some_are_handed_over_is_counted_in_full():
    title, body = messages.mass_outage("fleet", [f"h{number}" for number in range(20)], 3000)
    assert title == "fleet: 3000 BMCs silent at once" and body.endswith("h9 and 2990 more")


LOOKS = [LastLook(*(value,) * 4) for value in (None, True, False)]
HISTORIES = {
    "passed": [step("gate_health", "passed", "In-band and LAN answer.")],
    "proven": [step("gate_out_of_band_reset", "passed", proof=True), step("gate_health", "passed", "Well.")],
    "failed": [step("gate_out_of_band_reset", "failed", "The BMC did not come back in 600 s.")],
    "stopped": [step("reset_out_of_band", "stop", "The rung oob sent nothing: the fleet is paused.")],
    "nothing": [],
}


@pytest.mark.parametrize("history", HISTORIES)
@pytest.mark.parametrize("look", LOOKS, ids=["unknown", "yes", "no"])
def test_what_is_concluded_reads_well(history, look):
    ending = conclude(HISTORIES[history], look)
    told = incident(ending.outcome, sentence=ending.sentence, steps=HISTORIES[history])
    assert reads_well(*messages.ended(told))
