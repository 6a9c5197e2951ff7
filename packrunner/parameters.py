"""An action's parameters, from what was passed to what its code gets, by StackStorm's rules.

``live``: what was passed explicitly, templates rendered and types cast; this is stored, checked against the
schema and compared by policies. ``final``: with the defaults, for the action itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from packrunner import model, templates, validation
from packrunner.casts import cast
from packrunner.errors import ParameterError
from packrunner.rendering import render_values

MASKED = "********"
_Schema = Mapping[str, Mapping[str, Any]]


def schema_of(action: model.Action) -> dict[str, dict[str, Any]]:
    """The runner's parameters with the action's own laid over them, attribute by attribute."""
    merged: dict[str, dict[str, Any]] = {}
    for source in (model.RUNNER_PARAMETERS[action.runner], action.parameters):
        for name, schema in source.items():
            merged[name] = {**merged.get(name, {}), **(schema or {})}
    return merged


def live(
    action: model.Action,
    passed: Mapping[str, Any],
    context: Mapping[str, Any],
    *,
    templated: bool,
    cast_with: Callable[[Any, Mapping[str, Any]], Any] = cast,
) -> dict[str, Any]:
    """Render, cast and check explicit parameters.

    :param context: what templates may name, e.g. ``trigger``
    :param templated: whether what was passed may hold Jinja (rules, workflows) or is data (people, chat)
    :raises ParameterError: unknown, missing, immutable, wrong type, or not to be rendered
    """
    schemas = schema_of(action)
    given = {name for name, value in passed.items() if value is not None}
    literal = frozenset() if templated else frozenset(given)
    rendered = render_values(action.ref, _with_defaults(schemas, passed), context, literal)
    computed = {
        name
        for name, schema in schemas.items()
        if not schema.get("immutable") and templates.is_template(schema.get("default"))
    }
    explicit = {
        name: _cast(action, name, rendered[name], schemas.get(name, {}), cast_with)
        for name in (*passed, *sorted(computed - set(passed)))
    }
    _check(action, schemas, explicit)
    return explicit


def final(action: model.Action, explicit: Mapping[str, Any], context: Mapping[str, Any]) -> dict[str, Any]:
    """All parameters; the explicit ones are values and are not rendered again.

    :raises ParameterError: a default is a template that cannot be rendered
    """
    schemas = schema_of(action)
    given = frozenset(name for name, value in explicit.items() if value is not None)
    rendered = render_values(action.ref, _with_defaults(schemas, explicit), context, given)
    return {name: _cast(action, name, value, schemas.get(name, {}), cast) for name, value in rendered.items()}


def split(action: model.Action, values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """``final``'s result as the runner's part and the action's part."""
    of_runner = model.RUNNER_PARAMETERS[action.runner]
    return (
        {name: value for name, value in values.items() if name in of_runner},
        {name: value for name, value in values.items() if name not in of_runner},
    )


def masked(action: model.Action, values: Mapping[str, Any]) -> dict[str, Any]:
    """A copy for storing and showing: whatever the schema marks ``secret``, at any depth, is stars."""
    schemas = schema_of(action)
    return {name: _mask(value, schemas.get(name, {})) for name, value in values.items()}


def _mask(value: Any, schema: Mapping[str, Any]) -> Any:
    if schema.get("secret"):
        return MASKED
    if isinstance(value, dict):
        properties = schema.get("properties") or {}
        return {key: _mask(item, properties.get(key, {})) for key, item in value.items()}
    if isinstance(value, list) and isinstance(schema.get("items"), dict):
        return [_mask(item, schema["items"]) for item in value]
    return value


def _with_defaults(schemas: _Schema, passed: Mapping[str, Any]) -> dict[str, Any]:
    """Name to what was passed, else the default, else null."""
    values = dict(passed)
    for name, schema in schemas.items():
        if values.get(name) is None:
            values[name] = schema.get("default")
    return values


def _cast(
    action: model.Action,
    name: str,
    value: Any,
    schema: Mapping[str, Any],
    cast_with: Callable[[Any, Mapping[str, Any]], Any],
) -> Any:
    try:
        return cast_with(value, schema)
    except (ValueError, SyntaxError, TypeError) as error:
        shown = "the value (secret)" if schema.get("secret") else repr(value)
        raise ParameterError(f"{action.ref}: {name}: {shown} is no {schema.get('type')}") from error


def _check(action: model.Action, schemas: _Schema, explicit: Mapping[str, Any]) -> None:
    whole = {"type": "object", "properties": dict(schemas), "additionalProperties": False}
    candidate = validation.with_defaults(explicit, whole)
    found = validation.problems(candidate, validation.nullable(whole))
    if found:
        path, reason = found[0]
        raise ParameterError(f"{action.ref}: {path}: {reason}" if path else f"{action.ref}: {reason}")
    pinned = sorted(name for name in explicit if schemas.get(name, {}).get("immutable"))
    if pinned:
        raise ParameterError(f"{action.ref}: Override of immutable parameter(s) {pinned} is unsupported.")
