"""A pack as data, as its YAML files describe it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PYTHON = "python-script"
ORQUESTA = "orquesta"
NOOP = "noop"

# What StackStorm's runners bring along (their runner.yaml); an action's metadata overrides attributes.
RUNNER_PARAMETERS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    PYTHON: {
        "debug": {"type": "boolean", "default": False},
        "content_version": {"type": "string"},
        "env": {"type": "object"},
        "timeout": {"type": "integer", "default": 600},
        "log_level": {
            "type": "string",
            "default": "DEBUG",
            "enum": ["AUDIT", "CRITICAL", "ERROR", "WARNING", "INFO", "DEBUG"],
        },
    },
    ORQUESTA: {"notify": {"type": "array", "default": []}},
    NOOP: {},
}


@dataclass(frozen=True)
class Action:
    """One action: ``ref`` is ``pack.name``, ``entry_point`` an existing file."""

    ref: str
    runner: str
    entry_point: Path
    parameters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    enabled: bool = True
    description: str = ""

    @property
    def name(self) -> str:
        """The ref without the pack."""
        return self.ref.partition(".")[2]

    @property
    def pack(self) -> str:
        """The pack's ref."""
        return self.ref.partition(".")[0]


@dataclass(frozen=True)
class TriggerType:
    """A trigger type: ``ref`` is ``pack.name`` (a name may hold dots)."""

    ref: str
    payload_schema: Mapping[str, Any]


@dataclass(frozen=True)
class Sensor:
    """A sensor class; ``poll_interval`` in seconds, None for a passive sensor."""

    ref: str
    class_name: str
    entry_point: Path
    poll_interval: float | None
    triggers: tuple[str, ...]
    enabled: bool = True


@dataclass(frozen=True)
class Rule:
    """Trigger, criteria, and the action with its parameters (values or Jinja)."""

    ref: str
    trigger: str
    criteria: Mapping[str, Mapping[str, Any]]
    action: str
    parameters: Mapping[str, Any]
    enabled: bool = True


@dataclass(frozen=True)
class AliasFormat:
    """One way to say it; ``representation`` is StackStorm's format string or regular expression."""

    display: str
    representation: str


@dataclass(frozen=True)
class Alias:
    """A chat command."""

    ref: str
    action: str
    formats: tuple[AliasFormat, ...]
    immutable_parameters: Mapping[str, Any] = field(default_factory=dict)
    ack: Mapping[str, Any] = field(default_factory=dict)
    result: Mapping[str, Any] = field(default_factory=dict)
    enabled: bool = True
    description: str = ""


@dataclass(frozen=True)
class Policy:
    """``action.concurrency.attr``: at most ``threshold`` executions with equal ``attributes`` run at once."""

    ref: str
    resource: str
    attributes: tuple[str, ...]
    threshold: int
    action: str
    enabled: bool = True


@dataclass(frozen=True)
class Pack:
    """Everything in the pack's directory; all mappings are by ref."""

    ref: str
    directory: Path
    version: str
    actions: Mapping[str, Action]
    triggers: Mapping[str, TriggerType]
    sensors: Mapping[str, Sensor]
    rules: Mapping[str, Rule]
    aliases: Mapping[str, Alias]
    policies: Mapping[str, Policy]
    config_schema: Mapping[str, Any]
