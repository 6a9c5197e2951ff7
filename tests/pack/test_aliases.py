"""Chat: what each text asks for, what it may not ask for, and what chat hears, by StackStorm's rules.

It cuts `key=value` pairs off the end of a text before it matches anything, and passes them as parameters
(st2common/models/utils/action_alias_utils.py; its parser and packrunner's gave the same for all texts below).
"""

from __future__ import annotations

import re
import time

import pytest

from bmc_healer import guardrails, messages
from bmc_healer.config.settings import GuardrailSettings, Mode
from bmc_healer.state.documents import Latch, Pause, StoppedCredential
from bmc_healer.state.views import FleetState, HostState
from packrunner import aliases, casts, parameters
from packrunner.errors import AliasError, ParameterError
from packrunner.execution import Execution
from packrunner.loader import load_pack
from packrunner.processes import own_identity
from tests.pack.temporary import PACK

THE_PACK = load_pack(PACK)
INCIDENT = "db01-20261121-104512"
NOW = 1_800_000_000.0
PINNED = {
    "force": False,
    "dry_run": False,
    "rungs": ["inband", "unload", "oob"],
    "source": "chat",
    "reason": "asked for in chat by jane",
    "key": "",
}
DB01 = {"host": "db01", "asked_host": "db01"}

UNDERSTOOD = [
    ("bmc reset host db01", "heal", {**DB01, **PINNED, "approves": ""}),
    ("bmc reset db01", "heal", {**DB01, **PINNED, "approves": ""}),
    ("bmc heal db01", "heal", {**DB01, **PINNED}),
    (f"bmc heal db01 {INCIDENT}", "heal", {**DB01, **PINNED, "approves": INCIDENT}),
    ("bmc diagnose db01", "diagnose", {"host": "db01", "incident": ""}),
    ("bmc status", "status", {}),
    ("bmc status db01", "status", {"host": "db01"}),
    ("bmc sweep", "sweep", {}),
    ("bmc sweep rack:r12", "sweep", {"label": "rack:r12"}),
    ("bmc sweep label=rack=r12", "sweep", {"label": "rack=r12"}),
    ("bmc pause db01", "pause", {"target": "db01", "user": "jane"}),
    ("bmc pause rack:r12", "pause", {"target": "rack:r12", "user": "jane"}),
    ("bmc pause rack:r12 30", "pause", {"target": "rack:r12", "minutes": 30, "user": "jane"}),
    ("bmc pause rack=r12 30", "pause", {"target": "rack=r12", "minutes": 30, "user": "jane"}),
    (
        "bmc pause fleet 30 switch work",
        "pause",
        {"target": "fleet", "minutes": 30, "reason": "switch work", "user": "jane"},
    ),
    ("bmc resume fleet", "resume", {"target": "fleet"}),
    ("bmc resume db01", "resume", {"target": "db01"}),
    ("bmc resume rack:r12", "resume", {"target": "rack:r12"}),
    ("bmc resume credential:dell", "resume", {"target": "credential:dell"}),
]
UNKNOWN = [
    "bmc reset host",
    "bmc reset db01 db02",
    "please bmc reset db01",
    "bmc pause db01 soon",
    "bmc sweep x",
]
FORBIDDEN = [
    "bmc reset db01 force=true",
    "bmc reset db01 rungs=[oob]",
    "bmc reset db01 dry_run=false",
    f"bmc reset db01 approves={INCIDENT}",
    "bmc reset db01 key=x",
    "bmc heal db01 source=sensor",
    "bmc heal db01 force=true",
    'bmc heal db01 reason="because"',
    "bmc diagnose db01 incident=x",
    "bmc pause db01 user=bob",
    "bmc pause db01 5 switch work user=bob",
]
NO_PARAMETERS = ["bmc reset db01 timeout=3", "bmc status db01 env={}", "bmc sweep execution=x"]


def asked(text):
    """(action, its typed parameters) as chat would start it."""
    order = aliases.order(THE_PACK.ref, aliases.match(THE_PACK.aliases, text), "jane", {})
    action = THE_PACK.actions[order.action]
    return action.name, parameters.live(action, order.passed, {}, templated=False, cast_with=casts.cast_chat)


@pytest.mark.parametrize(("text", "action", "expected"), UNDERSTOOD)
def test_a_text_fits_one_alias_and_gives_its_parameters(text, action, expected):
    assert asked(text) == (action, expected)


@pytest.mark.parametrize("text", UNKNOWN)
def test_a_text_that_is_not_understood_does_nothing(text):
    with pytest.raises(AliasError, match="matched no patterns"):
        asked(text)


@pytest.mark.parametrize("text", FORBIDDEN)
def test_chat_may_not_set_what_is_pinned(text):
    with pytest.raises(AliasError, match="Immutable arguments"):
        asked(text)


@pytest.mark.parametrize("text", NO_PARAMETERS)
def test_chat_may_not_set_what_the_action_hides(text):
    with pytest.raises(ParameterError):
        asked(text)


def test_a_text_that_names_two_hosts_shows_both_to_begin_heal():
    """begin_heal refuses then, see tests/unit/test_verbs_begin.py."""
    _, given = asked("bmc reset db01 host=db02")
    assert (given["host"], given["asked_host"]) == ("db02", "db01")


@pytest.mark.parametrize("alias", THE_PACK.aliases.values(), ids=lambda alias: alias.ref)
def test_what_a_person_may_not_choose_is_pinned(alias):
    """`name=value` at the end of a text would set whatever is neither in a format nor pinned."""
    action = THE_PACK.actions[alias.action]
    hidden = {name for name, parameter in action.parameters.items() if parameter.get("immutable")}
    captured = {name for form in alias.formats for name in re.findall(r"\?P<(\w+)>", form.representation)}
    open_to_all = set(action.parameters) - hidden - captured - set(alias.immutable_parameters)
    assert open_to_all == set()
    assert not captured & set(alias.immutable_parameters)


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
    "proposal": (proposal, ("heal", "db01")),
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
    if action == "heal":
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


def ended(alias, status, result):
    action = THE_PACK.aliases[alias].action
    given = {"host": "db01", "target": "db01"}
    return Execution("4711", action, "", status, own_identity(), time.time(), parameters=given, result=result)


def reads_well(text):
    assert text == text.strip() and "\n" not in text and "  " not in text
    assert not re.search(r"[{}]|None|null|undefined|Traceback|\.\.", text), text
    assert text[0].isalnum() and text.endswith((".", ")")), text
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
    output = {"summary": "It was so.", "outcome": outcome, "host": "db01", "incident": incident, "steps": []}
    text = aliases.conclude(THE_PACK.aliases[alias], ended(alias, "succeeded", {"output": output}))
    assert reads_well(text)
    assert text.startswith(f"db01: {outcome.replace('_', ' ')}. It was so.")
    assert (INCIDENT in text) == bool(incident)


@pytest.mark.parametrize(("status", "result"), BROKEN_OFF)
@pytest.mark.parametrize("alias", HEAL_ALIASES)
def test_chat_hears_that_a_heal_broke_off(alias, status, result):
    text = aliases.conclude(THE_PACK.aliases[alias], ended(alias, status, result))
    assert reads_well(text) and f"This heal broke off ({status})" in text


@pytest.mark.parametrize(
    "result", [None, {"output": {"outcome": None, "summary": "So far.", "host": "db01"}}]
)
@pytest.mark.parametrize("alias", HEAL_ALIASES)
def test_chat_hears_that_a_heal_was_cancelled(alias, result):
    text = aliases.conclude(THE_PACK.aliases[alias], ended(alias, "canceled", result))
    assert reads_well(text) and text.startswith("This heal was cancelled.")


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
