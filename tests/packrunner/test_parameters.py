"""Parameters: defaults, types, templates, secrets, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from packrunner import casts, parameters
from packrunner.errors import ParameterError
from packrunner.loader import load_pack

from .conftest import PACK

ECHO = load_pack(PACK).actions["tpack.echo"]


def live(passed: dict[str, Any], *, templated: bool = True, **context: Any) -> dict[str, Any]:
    return parameters.live(ECHO, passed, context, templated=templated)


def test_explicit_ones_and_computed_defaults_only() -> None:
    assert live({"text": "a"}) == {"text": "a", "derived": "a-7"}
    assert live({"text": "a", "derived": "b"}) == {"text": "a", "derived": "b"}


def test_final_adds_the_defaults_and_the_runners_part() -> None:
    runner, action = parameters.split(ECHO, parameters.final(ECHO, live({"text": "a"}), {}))
    assert action["number"] == 7
    assert action["pinned"] == "fixed"
    assert action["names"] is None
    assert runner["timeout"] == 20
    assert runner["log_level"] == "INFO"


def test_templates_are_rendered_and_cast() -> None:
    trigger = {"host": "db1", "level": 5, "marks": ["x", "y"]}
    got = live(
        {
            "text": "{{ trigger.host }}",
            "number": "{{ trigger.level }}",
            "names": "{{ trigger.marks }}",
            "nested": {"token": "{{ trigger.host }}"},
            "flag": "true",
        },
        trigger=trigger,
    )
    assert got["number"] == 5
    assert got["names"] == ["x", "y"]
    assert got["nested"] == {"token": "db1"}
    assert got["flag"] is True
    assert got["derived"] == "db1-5"


def test_data_is_not_rendered() -> None:
    assert live({"text": "{{ 7 * 7 }}"}, templated=False)["text"] == "{{ 7 * 7 }}"
    assert live({"text": "{{ 7 * 7 }}"})["text"] == "49"
    assert live({"text": "{{ no jinja"})["text"] == "{{ no jinja"
    assert parameters.final(ECHO, {"text": "{{ 1 }}", "derived": "x"}, {})["text"] == "{{ 1 }}"


@pytest.mark.parametrize(
    ("passed", "reason"),
    [
        ({}, "'text' is a required property"),
        ({"text": "a", "extra": 1}, "'extra' was unexpected"),
        ({"text": "a", "choice": "z"}, "choice: 'z' is not one of"),
        ({"text": 5}, "text: 5 is no string"),
        ({"text": "a", "number": "many"}, "number: 'many' is no integer"),
        ({"text": "a", "names": "{{ gone }}"}, 'Dependency unsatisfied in variable "gone"'),
        ({"text": "{{ derived }}"}, "Cyclic dependency"),
        ({"text": "{{ trigger.gone }}"}, 'Failed to render parameter "text"'),
        ({"text": "a", "pinned": "other"}, "Override of immutable parameter(s) ['pinned']"),
        ({"text": "a", "names": [1]}, "names.0: 1 is not of type 'string'"),
    ],
)
def test_refusals(passed: dict[str, Any], reason: str) -> None:
    with pytest.raises(ParameterError) as caught:
        live(passed, trigger={})
    assert reason in str(caught.value)
    assert str(caught.value).startswith("tpack.echo: ")


def test_a_secret_is_in_no_refusal() -> None:
    for passed in ({"text": "a", "password": 12345}, {"text": "a", "nested": {"token": 12345}}):
        with pytest.raises(ParameterError) as caught:
            live(passed)
        assert "12345" not in str(caught.value)


def test_masking() -> None:
    passed = {"text": "a", "password": "s3cret", "nested": {"token": "t0ken", "other": 1}}
    shown = parameters.masked(ECHO, live(passed))
    assert shown["password"] == "********"
    assert shown["nested"] == {"token": "********", "other": 1}
    assert shown["text"] == "a"


def test_none_takes_the_default() -> None:
    assert parameters.final(ECHO, live({"text": "a", "number": None}), {})["number"] == 7


@pytest.mark.parametrize(
    ("value", "schema", "expected"),
    [
        ("[1, 2]", {"type": "array"}, [1, 2]),
        ("['a']", {"type": "array"}, ["a"]),
        ('{"a": 1}', {"type": "object"}, {"a": 1}),
        ("False", {"type": "boolean"}, False),
        ("4", {"type": "integer"}, 4),
        ("4.5", {"type": "number"}, 4.5),
        ("%*****__%NONE%__*****%", {"type": "string"}, None),
        ("x", {}, "x"),
        (None, {"type": "integer"}, None),
    ],
)
def test_casts(value: Any, schema: dict[str, Any], expected: Any) -> None:
    assert casts.cast(value, schema) == expected


def test_a_list_in_chat() -> None:
    assert casts.cast_chat("a, b", {"type": "array"}) == ["a", "b"]
    assert casts.cast_chat("3", {"type": "integer"}) == 3
