"""What is wrong with a workflow's definition, found before its first task runs, as StackStorm lists it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from packrunner import model, parameters
from packrunner.errors import UnknownActionError

_CATEGORIES = {
    "contents": "content",
    "context": "context",
    "expressions": "expression",
    "semantics": "semantic",
    "syntax": "syntax",
}
_TASKS = r"properties.tasks.patternProperties.^\w+$"


def inspect(
    spec: Any, context: Mapping[str, Any], find: Callable[[str], model.Action]
) -> list[dict[str, Any]]:
    """Orquesta's own findings, and tasks whose action or inputs do not exist; sorted by type and place."""
    found: list[dict[str, Any]] = []
    for category, entries in spec.inspect(app_ctx=dict(context), raise_exception=False).items():
        for entry in entries:
            language = {"language": entry["type"]} if category in ("context", "expressions") else {}
            found.append({**entry, **language, "type": _CATEGORIES[category]})
    if not any(entry["type"] == "syntax" for entry in found):
        for name, task in spec.tasks.items():
            found.extend(_inspect_task(name, task, find))
    return sorted(found, key=lambda entry: (entry["type"], str(entry.get("schema_path"))))


def _inspect_task(name: str, task: Any, find: Callable[[str], model.Action]) -> list[dict[str, Any]]:
    ref = getattr(task, "action", None)
    if not ref or "<%" in ref or "{{" in ref:
        return []
    place = f"tasks.{name}.action"
    if "." not in ref:
        return [_entry(f'The action reference "{ref}" is not formatted correctly.', place, "action")]
    try:
        action = find(ref)
    except UnknownActionError as error:
        return [_entry(str(error), place, "action")]
    given = getattr(task, "input", None) or {}
    if not isinstance(given, dict):
        return []
    schemas = parameters.schema_of(action)
    required = {key for key, schema in schemas.items() if schema.get("required") and "default" not in schema}
    missing = sorted(required - set(given))
    unexpected = sorted(set(given) - set(schemas))
    place = f"tasks.{name}.input"
    return [
        *(_entry(f'Action "{ref}" is missing required input "{key}".', place, "input") for key in missing),
        *(
            _entry(f'Action "{ref}" has unexpected input "{key}".', f"{place}.{key}", "input")
            for key in unexpected
        ),
    ]


def _entry(message: str, place: str, part: str) -> dict[str, Any]:
    return {
        "type": "content",
        "message": message,
        "spec_path": place,
        "schema_path": f"{_TASKS}.properties.{part}",
    }
