"""Jinja as StackStorm sets it up: a sandbox, undefined names are errors, a few filters, ``st2kv``."""

from __future__ import annotations

import functools
import json
import os.path
import re
from collections.abc import Callable, Mapping
from typing import Any

import jinja2
import jinja2.sandbox
import yaml

Lookup = Callable[[str], "str | None"]


def environment(*, allow_undefined: bool = False) -> jinja2.Environment:
    """The environment; with ``allow_undefined`` as for chat results, where an unknown name is empty."""
    return _environment(allow_undefined)


@functools.cache
def _environment(allow_undefined: bool) -> jinja2.Environment:
    made = jinja2.sandbox.SandboxedEnvironment(
        undefined=jinja2.Undefined if allow_undefined else jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(_FILTERS)
    made.tests["in"] = lambda item, among: item in among
    return made


def is_template(value: Any) -> bool:
    """Whether a value is a string with Jinja in it."""
    return isinstance(value, str) and ("{{" in value or "{%" in value)


def render(text: str, context: Mapping[str, Any], *, allow_undefined: bool = False) -> str:
    """Render one template.

    :raises jinja2.TemplateError: the template is wrong or a name is not defined
    """
    return environment(allow_undefined=allow_undefined).from_string(text).render(context)


def render_mapping(mapping: Mapping[str, Any], context: Mapping[str, Any]) -> dict[str, Any]:
    """Render every value; lists and objects as JSON text and back; what has no template keeps its type.

    :raises jinja2.TemplateError: a template is wrong or a name is not defined
    """
    rendered: dict[str, Any] = {}
    for key, value in mapping.items():
        structured = isinstance(value, (dict, list))
        text = json.dumps(value) if structured else str(value)
        new = render(text, context)
        rendered[key] = value if new == text else json.loads(new) if structured else new
    return rendered


class KeyLookup:
    """``st2kv.system.some.key`` in a template: attributes add up to the key's name, its text is the value."""

    def __init__(self, lookup: Lookup, name: str = "") -> None:
        self._lookup = lookup
        self._name = name

    def __getattr__(self, part: str) -> KeyLookup:
        if part.startswith("__"):
            raise AttributeError(part)
        return self[part]

    def __getitem__(self, part: str) -> KeyLookup:
        return KeyLookup(self._lookup, f"{self._name}.{part}" if self._name else part)

    def __str__(self) -> str:
        return self._lookup(self._name) or ""


def datastore_context(lookup: Lookup) -> dict[str, Any]:
    """What a template knows of the datastore."""
    return {"st2kv": {"system": KeyLookup(lookup)}}


def _regex_substring(value: str, pattern: str, result_index: int = 0, ignorecase: bool = False) -> str:
    flags = re.IGNORECASE if ignorecase else 0
    return str(re.findall(pattern, value, flags)[result_index])


def _human_time(seconds: float) -> str:
    """``90`` is ``1m30s``, as in StackStorm."""
    if seconds < 1:
        return f"{float(seconds)}s" if seconds else "0s"
    left = round(seconds)
    parts: list[str] = []
    for size, unit in ((31536000, "y"), (86400, "d"), (3600, "h"), (60, "m"), (1, "s")):
        count, left = divmod(left, size)
        if count or parts:
            parts.append(f"{count}{unit}")
    return "".join(parts)


_FILTERS: dict[str, Callable[..., Any]] = {
    "decrypt_kv": str,  # nothing is encrypted here
    "from_json_string": json.loads,
    "from_yaml_string": yaml.safe_load,
    "json_escape": lambda value: json.dumps(value)[1:-1],
    "to_complex": lambda value: json.dumps(value, default=str),
    "to_json_string": lambda value, indent=None: json.dumps(value, indent=indent, default=str),
    "to_yaml_string": lambda value: yaml.safe_dump(value, default_flow_style=False),
    "regex_match": lambda value, pattern, ignorecase=False: bool(
        re.match(pattern, value, re.IGNORECASE if ignorecase else 0)
    ),
    "regex_search": lambda value, pattern, ignorecase=False: bool(
        re.search(pattern, value, re.IGNORECASE if ignorecase else 0)
    ),
    "regex_replace": lambda value, pattern, new, ignorecase=False: re.sub(
        pattern, new, value, flags=re.IGNORECASE if ignorecase else 0
    ),
    "regex_substring": _regex_substring,
    "to_human_time_from_seconds": _human_time,
    "use_none": lambda value: value if value is not None else "%*****__%NONE%__*****%",
    "basename": os.path.basename,
    "dirname": os.path.dirname,
}
