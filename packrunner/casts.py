"""Values as Jinja leaves them, brought to the type that a parameter's schema names, by StackStorm's rules."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Mapping
from typing import Any

_NONE = "%*****__%NONE%__*****%"  # what StackStorm's filter use_none writes for null


def cast(value: Any, schema: Mapping[str, Any]) -> Any:
    """The value in the schema's ``type``; null and types that need no cast stay.

    :raises ValueError, SyntaxError, TypeError: the value cannot be read as that type
    """
    kind = schema.get("type")
    if value is None or not isinstance(kind, str) or kind not in _CASTS:
        return value
    return None if value == _NONE else _CASTS[kind](value)


def cast_chat(value: Any, schema: Mapping[str, Any]) -> Any:
    """As ``cast``, but a list is written ``a, b, c`` in chat."""
    if schema.get("type") == "array" and isinstance(value, str):
        return [item.strip() for item in value.split(",")]
    return cast(value, schema)


def _structure(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return ast.literal_eval(value)


def _boolean(value: Any) -> Any:
    return ast.literal_eval(value.capitalize()) if isinstance(value, str) else value


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f'Value "{value}" must either be a string or None. Got "{type(value).__name__}".')
    return value


_CASTS: dict[str, Callable[[Any], Any]] = {
    "array": _structure,
    "object": _structure,
    "boolean": _boolean,
    "integer": int,
    "number": float,
    "string": _string,
}
