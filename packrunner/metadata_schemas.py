"""The shape of a pack's YAML files, as JSON schema (``required: true`` inside a property, see validation)."""

from __future__ import annotations

from typing import Any

_NAME: dict[str, Any] = {"type": "string", "required": True, "minLength": 1}
_TEXT: dict[str, Any] = {"type": "string"}
_SWITCH: dict[str, Any] = {"type": "boolean"}
_OBJECT: dict[str, Any] = {"type": "object"}
_PARAMETER: dict[str, Any] = {
    "type": "object",
    "properties": {
        "type": {"enum": ["array", "boolean", "integer", "null", "number", "object", "string"]},
        "description": _TEXT,
        "required": _SWITCH,
        "immutable": _SWITCH,
        "secret": _SWITCH,
        "position": {"type": "integer", "minimum": 0},
        "enum": {"type": "array", "minItems": 1},
    },
}


def _file(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


PACK = _file(
    name=_NAME,
    ref={"type": "string", "pattern": "^[a-z0-9_]+$"},
    version={"type": "string", "required": True, "pattern": r"^\d+\.\d+\.\d+"},
    description={"type": "string", "required": True},
    author={"type": "string", "required": True},
    email={"type": "string"},
)
CONFIG: dict[str, Any] = {"type": "object", "additionalProperties": _OBJECT}
ACTION = _file(
    name=_NAME,
    runner_type=_NAME,
    entry_point=_NAME,
    enabled=_SWITCH,
    description=_TEXT,
    parameters={"type": "object", "additionalProperties": _PARAMETER},
)
SENSOR = _file(
    class_name=_NAME,
    entry_point=_NAME,
    enabled=_SWITCH,
    description=_TEXT,
    # StackStorm refuses less (checked there), so that a pack which works here also registers there.
    poll_interval={"type": "integer", "minimum": 4},
    trigger_types={
        "type": "array",
        "items": {
            "type": "object",
            "properties": {"name": _NAME, "description": _TEXT, "payload_schema": _OBJECT},
        },
    },
)
RULE = _file(
    name=_NAME,
    enabled=_SWITCH,
    description=_TEXT,
    trigger={
        "type": "object",
        "required": True,
        "properties": {"type": _NAME, "parameters": _OBJECT},
    },
    criteria={
        "type": "object",
        "additionalProperties": {"type": "object", "properties": {"type": _NAME}},
    },
    action={
        "type": "object",
        "required": True,
        "properties": {"ref": _NAME, "parameters": _OBJECT},
    },
)
ALIAS = _file(
    name=_NAME,
    enabled=_SWITCH,
    description=_TEXT,
    action_ref=_NAME,
    formats={
        "type": "array",
        "required": True,
        "minItems": 1,
        "items": {
            "anyOf": [
                {"type": "string"},
                {
                    "type": "object",
                    "properties": {
                        "display": _TEXT,
                        "representation": {"type": "array", "items": {"type": "string"}},
                    },
                },
            ]
        },
    },
    immutable_parameters=_OBJECT,
    ack=_file(enabled=_SWITCH, format=_TEXT),
    result=_file(enabled=_SWITCH, format=_TEXT),
)
POLICY = _file(
    name=_NAME,
    enabled=_SWITCH,
    description=_TEXT,
    resource_ref=_NAME,
    policy_type={"type": "string", "required": True, "enum": ["action.concurrency.attr"]},
    parameters={
        "type": "object",
        "required": True,
        "properties": {
            "attributes": {"type": "array", "required": True, "items": {"type": "string"}},
            "threshold": {"type": "integer", "required": True, "minimum": 1},
            "action": {"type": "string", "enum": ["delay", "cancel"]},
        },
    },
)
