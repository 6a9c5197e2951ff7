"""Chat: what each text asks for, and what it may not ask for, by StackStorm's rules.

It cuts `key=value` pairs off the end of a text before it matches anything, and passes them as parameters
(st2common/models/utils/action_alias_utils.py; its parser and packrunner's gave the same for all texts below).
"""

from __future__ import annotations

import re

import pytest

from packrunner import aliases, casts, parameters
from packrunner.errors import AliasError, ParameterError
from packrunner.loader import load_pack
from tests.pack.temporary import PACK

THE_PACK = load_pack(PACK)
INCIDENT = "db01-20261121-104512"
PINNED = {
    "force": False,
    "dry_run": False,
    "rungs": ["inband", "unload", "oob"],
    "source": "chat",
    "reason": "asked for in chat by jane",
    "key": "",
}
DB01 = {"host": "db01", "asked_host": "db01"}


def of_pause(target, minutes=0, reason=""):
    given = {"target": target, "target_again": target, "minutes": minutes, "reason": reason}
    return {**given, "user": "jane"}


UNDERSTOOD = [
    ("bmc reset host db01", "heal_request", {**DB01, **PINNED, "approves": ""}),
    ("bmc reset db01", "heal_request", {**DB01, **PINNED, "approves": ""}),
    ("bmc heal db01", "heal_request", {**DB01, **PINNED, "approves": ""}),
    (f"bmc heal db01 {INCIDENT}", "heal_request", {**DB01, **PINNED, "approves": INCIDENT}),
    ("bmc diagnose db01", "diagnose", {"host": "db01", "incident": ""}),
    ("bmc status", "status", {"host": ""}),
    ("bmc status db01", "status", {"host": "db01"}),
    ("bmc sweep", "sweep", {"label": ""}),
    ("bmc sweep rack:r12", "sweep", {"label": "rack:r12"}),
    ("bmc sweep label=rack=r12", "sweep", {"label": "rack=r12"}),
    ("bmc pause db01", "pause", of_pause("db01")),
    ("bmc pause rack:r12", "pause", of_pause("rack:r12")),
    ("bmc pause rack:r12 30", "pause", of_pause("rack:r12", 30)),
    ("bmc pause rack=r12 30", "pause", of_pause("rack=r12", 30)),
    ("bmc pause fleet 30 switch work", "pause", of_pause("fleet", 30, "switch work")),
    ('bmc pause fleet minutes=30 reason="switch work"', "pause", of_pause("fleet", 30, "switch work")),
    *(
        (f"bmc resume {target}", "resume", {"target": target, "target_again": target})
        for target in ("fleet", "db01", "rack:r12", "credential:dell")
    ),
    # The action refuses these with a sentence: a chat bot says nothing to a text that fits no format.
    ("bmc reset host", "heal_request", {**PINNED, "approves": "", "host": "host", "asked_host": "host"}),
    (
        "bmc reset db01 db02",
        "heal_request",
        {**PINNED, "approves": "", "host": "db01 db02", "asked_host": "db01"},
    ),
    ("bmc resume db01 db02", "resume", {"target": "db01 db02", "target_again": "db01"}),
    ("bmc sweep x", "sweep", {"label": "x"}),
]
UNKNOWN = ["bmc reset", "bmc heal", "please bmc reset db01", "bmc statusx", "bmc pause"]
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
NO_PARAMETERS = [
    "bmc reset db01 timeout=3",
    "bmc status db01 env={}",
    "bmc sweep execution=x",
    "bmc sweep rack=r12",
    "bmc pause db01 soon",
    "bmc pause db01 db02",
]


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


@pytest.mark.parametrize("text", ["bmc reset db01 host=db02", "bmc reset host db01 host=db02"])
def test_a_text_that_names_two_hosts_shows_both_to_begin_heal(text):
    """begin_heal refuses then, see tests/unit/test_verbs_begin.py."""
    _, given = asked(text)
    assert (given["host"], given["asked_host"]) == ("db02", "db01")


@pytest.mark.parametrize("verb", ["pause", "resume"])
def test_a_text_that_names_two_targets_shows_both(verb):
    """The action refuses then, see tests/unit/test_verbs_people.py."""
    _, given = asked(f"bmc {verb} db01 target=fleet")
    assert (given["target"], given["target_again"]) == ("fleet", "db01")


MARKS = ["{{st2kv.system.bmc_dell}}", "{%if%}", "{#x#}", "<%st2kv('system.bmc_dell',decrypt=>true)%>"]
PLACES = ["bmc heal {}", "bmc heal db01 {}", "bmc reset db01 host={}", "bmc reset db01 asked_host={}"]


@pytest.mark.parametrize("marks", MARKS)
@pytest.mark.parametrize("place", PLACES)
def test_what_an_engine_would_evaluate_does_not_reach_the_workflow(place, marks):
    with pytest.raises((ParameterError, AliasError), match=r"not allowed|matched no patterns"):
        asked(place.format(marks))


@pytest.mark.parametrize("marks", MARKS)
def test_nor_does_a_user_who_calls_himself_so(marks):
    order = aliases.order(THE_PACK.ref, aliases.match(THE_PACK.aliases, "bmc reset db01"), marks, {})
    with pytest.raises(ParameterError, match=r"reason: .* is not allowed"):
        parameters.live(THE_PACK.actions[order.action], order.passed, {}, templated=False)


# StackStorm's own chat bot makes a JavaScript expression of each format, and takes the first that fits.

EXTRA = r"""(\s+(\S+)\s*=("([\s\S]*?)"|'([\s\S]*?)'|({[\s\S]*?})|(\S+))\s*)*"""


def hubots(representation):
    """A format as hubot-stackstorm reads it (src/lib/command_factory.js)."""
    optional = r"(\s*)\{\{\s*\S+\s*=\s*(?:({.+?}|.+?))\s*\}\}(\s*)"
    form = re.sub(optional, r"\\s*(\1([\\s\\S]+?)\3)?\\s*", representation)
    form = re.sub(r"\s*\{\{.+?\}\}\s*", r"\\s*([\\s\\S]+?)\\s*", form)
    return re.compile(rf"^\s*{form}{EXTRA}\s*$", re.IGNORECASE)


def test_the_chat_bot_picks_the_alias_that_stackstorm_means():
    forms = [
        (alias.action, form.representation) for alias in THE_PACK.aliases.values() for form in alias.formats
    ]
    for text in [text for text, *_ in UNDERSTOOD] + FORBIDDEN + NO_PARAMETERS:
        meant = aliases.match(THE_PACK.aliases, text).alias.action
        assert [action for action, form in forms if hubots(form).match(text)] == [meant], text
    for text in UNKNOWN:
        assert not [form for _, form in forms if hubots(form).match(text)], text


@pytest.mark.parametrize("alias", THE_PACK.aliases.values(), ids=lambda alias: alias.ref)
def test_no_format_is_python_s_alone(alias):
    """One that JavaScript does not know stops hubot from loading the commands of every pack after it."""
    for form in alias.formats:
        assert not re.search(r"\(\?[^:=!]|\\[AZzGhHK]|[*+?}]\+", form.representation), form.representation


@pytest.mark.parametrize("alias", THE_PACK.aliases.values(), ids=lambda alias: alias.ref)
def test_what_a_person_may_not_choose_is_pinned(alias):
    """`name=value` at the end of a text would set whatever is neither in a format nor pinned."""
    action = THE_PACK.actions[alias.action]
    hidden = {name for name, parameter in action.parameters.items() if parameter.get("immutable")}
    captured = {name for form in alias.formats for name in re.findall(r"{{(\w+)", form.representation)}
    open_to_all = set(action.parameters) - hidden - captured - set(alias.immutable_parameters)
    assert open_to_all == set()
    assert not captured & set(alias.immutable_parameters)
