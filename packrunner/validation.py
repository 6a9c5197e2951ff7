"""JSON schema as StackStorm reads it: draft 4 keywords, but ``required: true`` stands inside a property.

Where a trigger's schema has draft 4's list of names instead, StackStorm drops every payload with a warning
(seen on 3.10dev). So ``dialect_faults`` finds it when a pack is loaded.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema
from jsonschema import validators


def _properties(validator: Any, properties: Any, instance: Any, schema: Any) -> Iterator[Any]:
    if not validator.is_type(instance, "object"):
        return
    for name, subschema in properties.items():
        if name in instance:
            yield from validator.descend(instance[name], subschema, path=name, schema_path=name)
        elif isinstance(subschema, Mapping) and subschema.get("required") is True:
            yield jsonschema.ValidationError(f"{name!r} is a required property")


def _nothing(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[Any]:
    return iter(())


_extend: Any = validators.extend
_Validator: Any = _extend(jsonschema.Draft4Validator, {"properties": _properties, "required": _nothing})


def dialect_faults(schema: Any) -> Iterator[tuple[str, str]]:
    """Each ``required`` in a schema, however deep, that StackStorm cannot read, as ``(path, reason)``."""
    if not isinstance(schema, Mapping):  # such as `additionalProperties: false`
        return
    required = schema.get("required", False)
    if not isinstance(required, bool):
        yield "required", f"{required!r} is not of type 'boolean'; write `required: true` at each property"
    for keyword, inner in _subschemas(schema):
        for path, reason in dialect_faults(inner):
            yield f"{keyword}.{path}", reason


def _subschemas(schema: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for keyword in ("items", "additionalItems", "additionalProperties", "not"):
        if isinstance(schema.get(keyword), Mapping):
            yield keyword, schema[keyword]
    for keyword in ("properties", "patternProperties", "definitions", "dependencies"):
        if isinstance(schema.get(keyword), Mapping):
            for name, inner in schema[keyword].items():
                yield f"{keyword}.{name}", inner
    for keyword in ("items", "anyOf", "allOf", "oneOf"):
        if isinstance(schema.get(keyword), list):
            for number, inner in enumerate(schema[keyword]):
                yield f"{keyword}.{number}", inner


def problems(instance: Any, schema: Mapping[str, Any]) -> list[tuple[str, str]]:
    """All violations as ``(path, reason)``, dots between keys; a reason never shows a ``secret`` value."""
    found = []
    for error in sorted(_Validator(schema).iter_errors(instance), key=lambda e: [str(p) for p in e.path]):
        path = ".".join(str(part) for part in error.absolute_path)
        found.append((path, _reason(error, schema)))
    return found


def _reason(error: Any, schema: Mapping[str, Any]) -> str:
    if not _is_secret(error, schema):
        return str(error.message)
    return f"the value (secret) does not fit: {error.validator} {error.validator_value!r}"


def _is_secret(error: Any, schema: Mapping[str, Any]) -> bool:
    """Whether any schema on the way to the error is marked ``secret``."""
    node: Any = schema
    for part in error.absolute_schema_path:
        if isinstance(node, Mapping) and node.get("secret") is True:
            return True
        try:
            node = node[part]
        except (KeyError, IndexError, TypeError):
            return False
    return False


def with_defaults(instance: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of an object with the schema's defaults where a property is absent or null, nested ones too."""
    filled = copy.deepcopy(dict(instance))
    for name, subschema in (schema.get("properties") or {}).items():
        if "default" in subschema and filled.get(name) is None:
            filled[name] = copy.deepcopy(subschema["default"])
        if isinstance(filled.get(name), dict):
            filled[name] = with_defaults(filled[name], subschema)
    return filled


def nullable(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A copy in which every optional property without a default (or with default null) may also be null."""
    loose = copy.deepcopy(dict(schema))
    for name, subschema in (loose.get("properties") or {}).items():
        optional = subschema.get("required") is not True or "default" in subschema
        if optional and subschema.get("default") is None:
            _allow_null(subschema)
        if isinstance(subschema.get("properties"), dict):
            loose["properties"][name] = nullable(subschema)
        items = subschema.get("items")
        if isinstance(items, dict) and items.get("properties"):
            subschema["items"] = nullable(items)
    return loose


def _allow_null(schema: dict[str, Any]) -> None:
    for key in ("anyOf", "oneOf"):
        if key in schema:
            schema[key] = [*schema[key], {"type": "null"}]
            return
    kind = schema.get("type", "string")
    kinds = list(kind) if isinstance(kind, list) else [kind]
    schema["type"] = kinds if "null" in kinds else [*kinds, "null"]
