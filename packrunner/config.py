"""The pack's configuration: checked against config.schema.yaml, with StackStorm's defaults."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Mapping
from typing import Any

import jinja2

from packrunner import model, templates, validation
from packrunner.errors import PackError

_Schema = Mapping[str, Any]


def check_config(pack: model.Pack, config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration with defaults.

    As in StackStorm an unknown key at the top is accepted, and the defaults of nested objects make up objects
    that nobody wrote.

    :raises PackError: names the path and the reason
    """
    whole = {"type": "object", "properties": dict(pack.config_schema)}
    filled = validation.with_defaults(config, whole)
    for path, reason in validation.problems(filled, validation.nullable(whole)):
        raise PackError(f"configuration of {pack.ref}", path, reason)
    result = copy.deepcopy(dict(config))
    _fill(pack.config_schema, result)
    return result


def resolve_config(config: Any, lookup: Callable[[str], str | None]) -> Any:
    """A copy with templates such as ``{{ st2kv.system.key }}`` replaced; an empty result is null.

    :raises PackError: a template cannot be rendered
    """
    if isinstance(config, dict):
        return {key: resolve_config(value, lookup) for key, value in config.items()}
    if isinstance(config, list):
        return [resolve_config(value, lookup) for value in config]
    if not templates.is_template(config):
        return config
    try:
        return templates.render(config, templates.datastore_context(lookup)) or None
    except jinja2.TemplateError as error:
        raise PackError("configuration", "", f"{config!r} cannot be rendered: {error}") from error


def _fill(schemas: Mapping[Any, Any], config: Any) -> None:
    for key, schema in schemas.items():
        present = key in config if isinstance(config, dict) else key < len(config)
        if "default" in schema and not present:
            config[key] = copy.deepcopy(schema["default"])
        kind = schema.get("type")
        if kind == "object" and _any(schema, "properties", "patternProperties", "additionalProperties"):
            if not _value(config, key):
                config[key] = {}
            _fill(_members(schema, config[key]), config[key])
        elif kind == "array" and _any(schema, "items", "additionalItems"):
            if not _value(config, key):
                config[key] = []
            _fill(dict(enumerate(_items(schema, len(config[key])))), config[key])


def _any(schema: _Schema, *names: str) -> bool:
    return any(schema.get(name) for name in names)


def _value(config: Any, key: Any) -> Any:
    return config.get(key) if isinstance(config, dict) else config[key]


def _members(schema: _Schema, value: Mapping[str, Any]) -> dict[str, _Schema]:
    """A schema for each key: from properties, else from matching patterns, else additionalProperties."""
    patterns = schema.get("patternProperties") or {}
    rest = schema.get("additionalProperties")
    members: dict[str, _Schema] = {key: {} for key in value}
    members.update(schema.get("properties") or {})
    for key in value:
        if key in (schema.get("properties") or {}):
            continue
        matching = [sub for pattern, sub in patterns.items() if re.search(pattern, key)]
        if matching:
            members[key] = {name: item for sub in matching for name, item in sub.items()}
        elif isinstance(rest, dict):
            members[key] = rest
    return members


def _items(schema: _Schema, count: int) -> list[_Schema]:
    items = schema.get("items") or []
    if isinstance(items, dict):
        return [items] * count
    rest = schema.get("additionalItems")
    more = [rest] * (count - len(items)) if isinstance(rest, dict) else []
    return [*items, *more][:count]
