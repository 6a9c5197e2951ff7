"""What chat hears: commands that can be typed, and a text per outcome that a person reads."""

from __future__ import annotations

import re
import time

import pytest

from bmc_healer import guardrails, messages
from bmc_healer.config.settings import GuardrailSettings, Mode
from bmc_healer.state.documents import Latch, Pause, StoppedCredential
from bmc_healer.state.views import FleetState, HostState
from packrunner import aliases
from packrunner.execution import Execution
from packrunner.processes import own_identity
from tests.pack.test_aliases import INCIDENT, THE_PACK, asked

NOW = 1_800_000_000.0

# What the pack tells people to type has to work when they type it.

REQUEST = guardrails.Request(
    "db01", ("rack=r12",), None, "chat", ("inband", "unload", "oob"), 0.0, credential="dell"
)


def override(fleet=None, host=None):
    refusal = guardrails.judge(
        REQUEST, fleet or FleetState(), host or HostState("db01"), GuardrailSettings(), Mode.AUTO, NOW
    )
    return refusal.override


def paused(target):
    return FleetState(pauses=(Pause(target, "bob", "switch work", NOW - 60, None),))


def command(text):
    """The command in a text that chat is shown, without the sign that the chat bot listens to."""
    return re.search(r"!?(bmc [a-z]+ [^`\n]+)", text).group(1).rstrip(".")


def proposal():
    proposed = {
        "host": "db01",
        "id": INCIDENT,
        "outcome": "proposed",
        "mode": "propose",
        "approvable": True,
        "sentence": "It hangs.",
    }
    return messages.ended(proposed)[1]


def escalation():
    return messages.ended({"host": "db01", "id": INCIDENT, "outcome": "escalated", "sentence": "It hangs."})[
        1
    ]


PRINTED = {
    "proposal": (proposal, ("heal_request", "db01")),
    "escalation": (escalation, ("resume", "db01")),
    "pause of the fleet": (lambda: override(paused("fleet")), ("resume", "fleet")),
    "pause of a label": (lambda: override(paused("rack=r12")), ("resume", "rack:r12")),
    "pause of a host": (lambda: override(paused("host=db01")), ("resume", "db01")),
    "latch": (
        lambda: override(host=HostState("db01", latch=Latch(INCIDENT, "It hangs.", NOW))),
        ("resume", "db01"),
    ),
    "credential": (
        lambda: override(FleetState(stopped=(StoppedCredential("dell", "refused by two", NOW),))),
        ("resume", "credential:dell"),
    ),
}


@pytest.mark.parametrize(("printed", "meant"), PRINTED.values(), ids=PRINTED)
def test_the_command_that_is_printed_can_be_typed(printed, meant):
    action, given = asked(command(printed()))
    assert (action, given.get("host") or given["target"]) == meant
    if action == "heal_request":
        assert given["approves"] == INCIDENT


# What chat hears

HEAL_ALIASES = ("bmc_healer.bmc_heal", "bmc_healer.bmc_reset")
OUTCOMES = ("healed", "relieved", "escalated", "refused", "proposed", "not_needed")
BROKEN_OFF = [
    ("failed", None),
    ("failed", {"output": None, "errors": [{"message": "Expression failed."}]}),
    ("timeout", None),
    ("abandoned", {"output": {"outcome": None, "summary": "The heal did not reach its end."}}),
]


BEGINNINGS = {
    "healed": "db01: It was so.",  # the summary says how it was healed, or that the host is only relieved
    "relieved": "db01: It was so.",
    "escalated": "db01: escalated, a person has to look. It was so.",
    "refused": "db01: refused, nothing was reset. It was so.",
    "proposed": "db01: proposed, nothing was reset. It was so.",
    "not_needed": "db01: no heal needed. It was so.",
}
MOST = 500  # characters: hubot cuts a text off there, but for Slack and its like


def ended(alias, status, result):
    action = THE_PACK.aliases[alias].action
    given = {"host": "db01", "target": "db01"}
    return Execution("4711", action, "", status, own_identity(), time.time(), parameters=given, result=result)


def reads_well(text):
    assert text == text.strip() and "\n" not in text and "  " not in text
    assert not re.search(r"[{}]|None|null|undefined|Traceback|\.\.", text), text
    assert text[0].isalnum() and text.endswith((".", ")")) and len(text) <= MOST, text
    return True


@pytest.mark.parametrize("alias", THE_PACK.aliases)
def test_the_acknowledgement_is_a_sentence(alias):
    reads_well(aliases.acknowledge(THE_PACK.aliases[alias], ended(alias, "running", None)))


@pytest.mark.parametrize("alias", HEAL_ALIASES)
def test_what_was_typed_is_never_shown(alias):
    """An engine may have evaluated it; the host's name is shown where begin_heal found it (its output)."""
    spoken = THE_PACK.aliases[alias]
    output = {"outcome": "refused", "summary": "There is no such host.", "host": "", "incident": ""}
    heard = [
        aliases.acknowledge(spoken, ended(alias, "running", None)),
        aliases.conclude(spoken, ended(alias, "succeeded", {"output": output})),
        *(aliases.conclude(spoken, ended(alias, status, result)) for status, result in BROKEN_OFF),
        aliases.conclude(spoken, ended(alias, "canceled", None)),
    ]
    assert all(reads_well(text) and "db01" not in text for text in heard), heard


@pytest.mark.parametrize("incident", ["", INCIDENT])
@pytest.mark.parametrize("outcome", OUTCOMES)
@pytest.mark.parametrize("alias", HEAL_ALIASES)
def test_chat_hears_how_a_heal_ended(alias, outcome, incident):
    output = {
        "summary": "It was so.",
        "outcome": outcome,
        "to_do": "Do it.",
        "host": "db01",
        "incident": incident,
    }
    text = aliases.conclude(THE_PACK.aliases[alias], ended(alias, "succeeded", {"output": output}))
    assert reads_well(text)
    assert text == f"{BEGINNINGS[outcome]} Do it." + (f" (incident {incident})" if incident else "")


@pytest.mark.parametrize(("status", "result"), BROKEN_OFF)
@pytest.mark.parametrize("alias", HEAL_ALIASES)
def test_chat_hears_that_a_heal_broke_off(alias, status, result):
    text = aliases.conclude(THE_PACK.aliases[alias], ended(alias, status, result))
    assert reads_well(text) and f"This heal broke off ({status}, execution 4711) before it began." in text


@pytest.mark.parametrize("alias", HEAL_ALIASES)
def test_a_heal_that_broke_off_later_names_its_host(alias):
    output = {"outcome": None, "summary": "The heal of db01 begins.", "host": "db01", "incident": INCIDENT}
    text = aliases.conclude(THE_PACK.aliases[alias], ended(alias, "failed", {"output": output}))
    assert reads_well(text) and text.startswith("db01: this heal broke off (failed, execution 4711).")


@pytest.mark.parametrize(
    ("result", "begins"),
    [
        (None, "This heal was cancelled before it began."),
        ({"output": {"outcome": None, "host": ""}}, "This heal was cancelled before it began."),
        (
            {"output": {"outcome": None, "summary": "So far.", "host": "db01"}},
            "db01: this heal was cancelled.",
        ),
    ],
)
@pytest.mark.parametrize("alias", HEAL_ALIASES)
def test_chat_hears_that_a_heal_was_cancelled(alias, result, begins):
    text = aliases.conclude(THE_PACK.aliases[alias], ended(alias, "canceled", result))
    assert reads_well(text) and text.startswith(begins)


def test_a_look_says_what_a_heal_would_do():
    def said(plan):
        result = {"sentence": "db01: In-band IPMI hangs.", "host": "db01", "plan": plan}
        alias = "bmc_healer.bmc_diagnose"
        return aliases.conclude(THE_PACK.aliases[alias], ended(alias, "succeeded", {"result": result}))

    assert said([]) == "db01: In-band IPMI hangs."
    assert said(["inband", "oob", "load"]) == (
        "db01: In-band IPMI hangs. A heal would go: inband -> oob -> load; it begins with `!bmc reset db01`."
    )


@pytest.mark.parametrize("alias", sorted(set(THE_PACK.aliases) - set(HEAL_ALIASES)))
def test_chat_hears_what_the_other_actions_say(alias):
    said = {"exit_code": 0, "stdout": "", "stderr": "", "result": {"sentence": "3 hosts, mode auto."}}
    for status in ("succeeded", "failed"):
        assert (
            aliases.conclude(THE_PACK.aliases[alias], ended(alias, status, said)) == "3 hosts, mode auto."
        ), status


@pytest.mark.parametrize(
    ("status", "result"),
    [
        ("failed", None),
        ("failed", {"exit_code": 1, "result": "None", "stderr": "Traceback"}),
        ("timeout", {"exit_code": -9, "result": "None", "error": "Action failed to complete in 60 seconds"}),
        ("canceled", None),
        ("abandoned", {}),
    ],
)
@pytest.mark.parametrize("alias", sorted(set(THE_PACK.aliases) - set(HEAL_ALIASES)))
def test_chat_hears_that_an_action_broke_off(alias, status, result):
    text = aliases.conclude(THE_PACK.aliases[alias], ended(alias, status, result))
    assert reads_well(text) and status in text and "4711" in text


@pytest.mark.parametrize("alias", THE_PACK.aliases)
def test_what_a_host_said_is_not_taken_for_a_template(alias):
    """Also a summary that holds Jinja is shown, not evaluated."""
    text = "its comm is {{ 7 * 7 }}."
    result = {
        "output": {"summary": text, "outcome": "escalated", "host": "db01"},
        "result": {"sentence": text},
    }
    assert text in aliases.conclude(THE_PACK.aliases[alias], ended(alias, "succeeded", result))
