"""Validation against config.schema.yaml, with errors that name the place and never show a secret's value."""

from __future__ import annotations

import difflib
import re
import sys
from functools import cache
from pathlib import Path
from typing import Any

from bmc_healer.config.document import parse_yaml, where
from bmc_healer.config.names import printable
from bmc_healer.errors import ConfigError

# lib/bmc_healer/config/schema.py lies three folders below the pack; resolve() sees through actions/lib.
SCHEMA_FILE = Path(__file__).resolve().parents[3] / "config.schema.yaml"

_TYPES = {
    "object": "a mapping",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
}
_KINDS = {dict: "a mapping", list: "a list", str: "text", bool: "true or false", type(None): "empty"}
_PATTERNS = {"^/": "must be an absolute path", "^https?": "must be like https://10.1.0.5, without a login"}


@cache
def _properties() -> dict[str, Any]:
    properties: dict[str, Any] = parse_yaml(SCHEMA_FILE.read_text(encoding="utf-8"), str(SCHEMA_FILE))
    return properties


def sections() -> dict[str, Any]:
    """The schema of a whole configuration: its top-level keys."""
    return {"type": "object", "properties": _properties(), "additionalProperties": False}


def hosts() -> dict[str, Any]:
    """The schema of `hosts`, which is that of an inventory file too."""
    section: dict[str, Any] = _properties()["hosts"]
    return section


def check(data: Any, schema: dict[str, Any], origin: str) -> None:
    """:raises ConfigError: naming file, path and reason of the first fault found."""
    # `required: true` at the property is draft 3; the rest of the schema is what drafts 3 and 4 share.
    errors = _jsonschema().Draft3Validator(schema).iter_errors(data)
    first = next(iter(errors), None)
    if first is not None:
        path = [str(step) for step in first.absolute_path]
        raise ConfigError(_reason(first), where(origin, path))


@cache
def _jsonschema() -> Any:
    """The module, without the `requests` that old releases load for references to other hosts: we have none.

    That spares every action 10 MB and 60 ms.
    """
    strange = "requests" not in sys.modules
    if strange:
        sys.modules["requests"] = None  # type: ignore[assignment]  # an import of it fails, which they expect
    try:
        import jsonschema
    finally:
        if strange:
            del sys.modules["requests"]
    return jsonschema


def _reason(error: Any) -> str:
    rule, limit = error.validator, error.validator_value
    if rule == "required":
        return "is missing"
    if rule == "additionalProperties":
        return _unknown_key(error.instance, error.schema)
    if rule == "type":
        wanted = " or ".join(_TYPES[name] for name in ([limit] if isinstance(limit, str) else limit))
        return f"must be {wanted}, not {_KINDS.get(type(error.instance), 'a number or a date')}"
    if rule == "enum":
        return f"{printable(error.instance)} is not one of {', '.join(map(str, limit))}"
    if rule == "minimum":
        bound = "more than" if error.schema.get("exclusiveMinimum") else "at least"
        return f"{error.instance} is out of range, it must be {bound} {limit}"
    if rule == "maximum":
        return f"{error.instance} is out of range, it must be at most {limit}"
    if rule == "pattern":
        return next(
            (text for start, text in _PATTERNS.items() if limit.startswith(start)),
            "has characters that may not be in it",
        )
    return f"does not fit the rule {rule} of the schema"


def _unknown_key(instance: dict[str, Any], schema: dict[str, Any]) -> str:
    known = list(schema.get("properties", ()))
    patterns = schema.get("patternProperties", ())
    extra = next(k for k in instance if k not in known and not any(re.search(p, k) for p in patterns))
    if patterns:
        return f"{printable(extra)} is not a name that can be used here"
    near = difflib.get_close_matches(extra, known, n=1)
    hint = f", did you mean '{near[0]}'?" if near else f" (known: {', '.join(known)})"
    return f"unknown key {printable(extra)}{hint}"
