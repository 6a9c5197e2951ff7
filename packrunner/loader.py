"""Reads a pack's directory into a ``Pack``; the first thing that is wrong raises ``PackError``."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml

from packrunner import criteria, model, validation
from packrunner import metadata_schemas as shapes
from packrunner.errors import PackError

LOG = logging.getLogger(__name__)
_T = TypeVar("_T")
_RUNNERS = {model.PYTHON: model.PYTHON, model.ORQUESTA: model.ORQUESTA, "orchestra": model.ORQUESTA}


def load_pack(directory: Path) -> model.Pack:
    """Read and check every metadata file of the pack.

    :raises PackError: a file is missing, is no YAML, or does not fit; names the file, the path and the reason
    """
    manifest = _read(directory, directory / "pack.yaml", shapes.PACK)
    ref = _pack_ref(manifest)
    actions = _load(directory, "actions", shapes.ACTION, lambda file, doc: _action(directory, ref, file, doc))
    sensors, triggers = _sensors(directory, ref)
    rules = _load(directory, "rules", shapes.RULE, lambda file, doc: _rule(ref, doc))
    aliases = _load(directory, "aliases", shapes.ALIAS, lambda file, doc: _alias(ref, doc))
    policies = _load(directory, "policies", shapes.POLICY, lambda file, doc: _policy(ref, doc))
    pack = model.Pack(
        ref=ref,
        directory=directory,
        version=str(manifest["version"]),
        actions={a.ref: a for _, a in actions},
        triggers=triggers,
        sensors=sensors,
        rules={r.ref: r for _, r in rules},
        aliases={a.ref: a for _, a in aliases},
        policies={p.ref: p for _, p in policies},
        config_schema=_config_schema(directory),
    )
    _cross_check(pack, rules, aliases, policies)
    return pack


def _pack_ref(manifest: Mapping[str, Any]) -> str:
    ref = manifest.get("ref") or manifest["name"]
    if not re.fullmatch(r"[a-z0-9_]+", ref):
        raise PackError("pack.yaml", "ref", f"{ref!r} may hold only a-z, 0-9 and _; give the pack a ref")
    return str(ref)


def _config_schema(directory: Path) -> dict[str, Any]:
    path = directory / "config.schema.yaml"
    if not path.exists():
        return {}
    sections = _read(directory, path, shapes.CONFIG)
    for name, schema in sections.items():
        _check_dialect(path.name, name, schema)
    return sections


def _check_dialect(file: str, place: str, schema: Any) -> None:
    for where, reason in validation.dialect_faults(schema):
        raise PackError(file, f"{place}.{where}", reason)


def _load(
    directory: Path, folder: str, shape: Mapping[str, Any], build: Callable[[str, dict[str, Any]], _T]
) -> list[tuple[str, _T]]:
    """``(file, object)`` of every YAML file in a folder, in the order of their names."""
    return [(file, build(file, doc)) for file, doc in _documents(directory, folder, shape)]


def _documents(
    directory: Path, folder: str, shape: Mapping[str, Any]
) -> Iterator[tuple[str, dict[str, Any]]]:
    for path in sorted((directory / folder).glob("*.y*ml")):
        yield str(path.relative_to(directory)), _read(directory, path, shape)


def _read(directory: Path, path: Path, shape: Mapping[str, Any]) -> dict[str, Any]:
    name = str(path.relative_to(directory))
    try:
        doc = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise PackError(name, "", f"cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise PackError(name, "", f"is no valid YAML: {' '.join(str(error).split())}") from error
    for where, reason in validation.problems(doc, shape):
        raise PackError(name, where, reason)
    assert isinstance(doc, dict)  # noqa: S101  every shape is an object
    return doc


def _entry_point(directory: Path, folder: str, file: str, value: str) -> Path:
    """The file an entry point names; as in StackStorm it may not lead out of its folder by ``..``."""
    if Path(value).is_absolute() or ".." in Path(value).parts:
        raise PackError(file, "entry_point", f"{value!r} leads out of {folder}/; use a symbolic link instead")
    path = directory / folder / value
    if not path.is_file():
        raise PackError(file, "entry_point", f"there is no file {folder}/{value}")
    return path


def _action(directory: Path, pack: str, file: str, doc: dict[str, Any]) -> model.Action:
    runner = _RUNNERS.get(doc["runner_type"])
    if runner is None:
        known = ", ".join(sorted(set(_RUNNERS)))
        raise PackError(file, "runner_type", f"{doc['runner_type']!r} is not supported here; one of {known}")
    for name, schema in (doc.get("parameters") or {}).items():
        _check_dialect(file, f"parameters.{name}", schema)
    return model.Action(
        ref=f"{pack}.{doc['name']}",
        runner=runner,
        entry_point=_entry_point(directory, "actions", file, doc["entry_point"]),
        parameters=doc.get("parameters") or {},
        enabled=doc.get("enabled", True),
        description=doc.get("description", ""),
    )


def _sensors(directory: Path, pack: str) -> tuple[dict[str, model.Sensor], dict[str, model.TriggerType]]:
    sensors: dict[str, model.Sensor] = {}
    triggers: dict[str, model.TriggerType] = {}
    for file, doc in _documents(directory, "sensors", shapes.SENSOR):
        for number, entry in enumerate(doc.get("trigger_types") or []):
            _check_dialect(file, f"trigger_types.{number}.payload_schema", entry.get("payload_schema"))
        types = [
            model.TriggerType(f"{pack}.{entry['name']}", entry.get("payload_schema") or {})
            for entry in doc.get("trigger_types") or []
        ]
        triggers.update({t.ref: t for t in types})
        sensor = model.Sensor(
            ref=f"{pack}.{doc['class_name']}",
            class_name=doc["class_name"],
            entry_point=_entry_point(directory, "sensors", file, doc["entry_point"]),
            poll_interval=doc.get("poll_interval"),
            triggers=tuple(t.ref for t in types),
            enabled=doc.get("enabled", True),
        )
        sensors[sensor.ref] = sensor
    return sensors, triggers


def _rule(pack: str, doc: dict[str, Any]) -> model.Rule:
    return model.Rule(
        ref=f"{pack}.{doc['name']}",
        trigger=doc["trigger"]["type"],
        criteria=doc.get("criteria") or {},
        action=doc["action"]["ref"],
        parameters=doc["action"].get("parameters") or {},
        enabled=doc.get("enabled", True),
    )


def _alias(pack: str, doc: dict[str, Any]) -> model.Alias:
    formats: list[model.AliasFormat] = []
    for entry in doc["formats"]:
        if isinstance(entry, str):
            formats.append(model.AliasFormat(entry, entry))
            continue
        spoken = entry.get("representation") or []
        formats.extend(model.AliasFormat(entry.get("display", one), one) for one in spoken)
    return model.Alias(
        ref=f"{pack}.{doc['name']}",
        action=doc["action_ref"],
        formats=tuple(formats),
        immutable_parameters=doc.get("immutable_parameters") or {},
        ack=doc.get("ack") or {},
        result=doc.get("result") or {},
        enabled=doc.get("enabled", True),
        description=doc.get("description", ""),
    )


def _policy(pack: str, doc: dict[str, Any]) -> model.Policy:
    parameters = doc["parameters"]
    return model.Policy(
        ref=f"{pack}.{doc['name']}",
        resource=doc["resource_ref"],
        attributes=tuple(parameters["attributes"]),
        threshold=parameters["threshold"],
        action=parameters.get("action", "delay"),
        enabled=doc.get("enabled", True),
    )


def _cross_check(
    pack: model.Pack,
    rules: list[tuple[str, model.Rule]],
    aliases: list[tuple[str, model.Alias]],
    policies: list[tuple[str, model.Policy]],
) -> None:
    """Rules, aliases and policies must name actions that exist; a foreign trigger only warns."""
    for file, rule in rules:
        for key, criterion in rule.criteria.items():
            if criterion["type"].lower() not in criteria.KNOWN:
                raise PackError(file, f"criteria.{key}.type", f"there is no operator {criterion['type']!r}")
        _known_action(pack, file, "action.ref", rule.action)
        if rule.trigger.startswith(f"{pack.ref}.") and rule.trigger not in pack.triggers:
            raise PackError(file, "trigger.type", f"no sensor of the pack declares {rule.trigger!r}")
        if rule.trigger not in pack.triggers:
            LOG.warning(
                "%s: trigger %s is not of this pack: the rule can never match here", file, rule.trigger
            )
    for file, alias in aliases:
        _known_action(pack, file, "action_ref", alias.action)
    for file, policy in policies:
        _known_action(pack, file, "resource_ref", policy.resource)


def _known_action(pack: model.Pack, file: str, path: str, ref: str) -> None:
    if ref not in pack.actions and ref != "core.noop":
        raise PackError(file, path, f"there is no action {ref!r} in the pack")
