"""StackStorm's Jinja filters."""

from __future__ import annotations

from typing import Any

import jinja2
import pytest

from packrunner import templates


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ x | to_json_string }}", '{"a": [1]}'),
        ("{{ x | to_complex }}", '{"a": [1]}'),
        ("{{ ('[1, 2]' | from_json_string)[1] }}", "2"),
        ("{{ ('a: 3' | from_yaml_string).a }}", "3"),
        ("{{ x | to_yaml_string }}", "a:\n- 1"),
        ("{{ 'a\"b' | json_escape }}", 'a\\"b'),
        ("{{ 'db12' | regex_match('db\\d+') }}", "True"),
        ("{{ 'xDB' | regex_search('db', ignorecase=true) }}", "True"),
        ("{{ 'db12' | regex_replace('\\d', 'n') }}", "dbnn"),
        ("{{ 'a1b22' | regex_substring('\\d+', 1) }}", "22"),
        ("{{ 0 | to_human_time_from_seconds }}", "0s"),
        ("{{ 90 | to_human_time_from_seconds }}", "1m30s"),
        ("{{ 3600.4 | to_human_time_from_seconds }}", "1h0m0s"),
        ("{{ none | use_none }}", "%*****__%NONE%__*****%"),
        ("{{ '/a/b' | basename }}{{ '/a/b' | dirname }}", "b/a"),
        ("{{ 'k' | decrypt_kv }}", "k"),
        ("{{ 1 is in [1, 2] }}", "True"),
    ],
)
def test_filters(text: str, expected: str) -> None:
    assert templates.render(text, {"x": {"a": [1]}}).strip() == expected


def test_an_unknown_name() -> None:
    with pytest.raises(jinja2.UndefinedError):
        templates.render("{{ gone }}", {})
    assert templates.render("[{{ gone }}]", {}, allow_undefined=True) == "[]"


def test_the_sandbox() -> None:
    with pytest.raises(jinja2.exceptions.SecurityError):
        templates.render("{{ ''.__class__.__mro__ }}", {})


def test_mappings_keep_types() -> None:
    mapping: dict[str, Any] = {"a": 1, "b": ["{{ x }}"], "c": "{{ x }}", "d": True}
    assert templates.render_mapping(mapping, {"x": "y"}) == {"a": 1, "b": ["y"], "c": "y", "d": True}
