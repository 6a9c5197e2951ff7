"""YAML and JSON text to plain data: no key twice, no surprise types, absolute paths, no content in errors."""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from bmc_healer.config.names import printable
from bmc_healer.errors import ConfigError

# The C parser is seven times faster; PyYAML builds without libyaml lack it.
_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MOST = 1_000_000  # values; 10,000 hosts with all their settings make 200,000
_DEEPEST = 20  # no shape of ours is deeper than 7; stops structures that contain themselves
_PATH_KEYS = frozenset({"inventory", "key_file", "known_hosts", "password_file", "url_file", "verify"})


class _UniqueKeyLoader(_Base):  # type: ignore[misc]
    """Safe loader that refuses a key given twice: PyYAML lets the last one win without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            if isinstance(key_node, yaml.ScalarNode) and key_node.tag != "tag:yaml.org,2002:merge":
                if key_node.value in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, "a key is given twice", key_node.start_mark
                    )
                seen.add(key_node.value)
        mapping: dict[Any, Any] = super().construct_mapping(node, deep=deep)
        return mapping


def parse_yaml(text: str, origin: str) -> Any:
    """:raises ConfigError: with line and column, without the line's content, which may be a secret."""
    try:
        return yaml.load(text, Loader=_UniqueKeyLoader)  # noqa: S506 - derived from the safe loader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        at = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        problem = re.sub(r"'[^']*'|\"[^\"]*\"", "...", error.problem or "")
        raise ConfigError(f"not valid YAML{at}: {problem}", origin) from None
    except (yaml.YAMLError, ValueError, RecursionError):  # ValueError: a date such as 2026-13-01
        raise ConfigError("not valid YAML", origin) from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) != len(pairs):
        raise ValueError("a key is given twice")
    return data


def parse_json(text: str, origin: str) -> Any:
    """:raises ConfigError: with line and column, without content."""
    try:
        return json.loads(text, object_pairs_hook=_unique)
    except json.JSONDecodeError as error:
        at = f"line {error.lineno}, column {error.colno}"
        raise ConfigError(f"not valid JSON ({at}): {error.msg}", origin) from None
    except (ValueError, RecursionError):
        raise ConfigError("not valid JSON: a key is given twice or it is nested too deeply", origin) from None


def check_plain(
    data: Any, origin: str, path: tuple[str, ...] = (), seen: Iterator[int] | None = None
) -> None:
    """Refuse keys that are no text (an unquoted `on` or `12`), endless numbers, and bottomless structures.

    :param seen: counts; a few lines of YAML aliases can stand for more than any memory holds
    """
    seen = itertools.count() if seen is None else seen
    if len(path) > _DEEPEST:
        raise ConfigError("nested too deeply", where(origin, path[:3]))
    if next(seen) > _MOST:
        raise ConfigError(f"more than {_MOST} values", where(origin, path[:3]), "Repeat less by aliases")
    if isinstance(data, dict):
        for key, value in data.items():
            if not isinstance(key, str):
                raise ConfigError(f"the key {printable(key)} is not text", where(origin, path), "Quote it")
            check_plain(value, origin, (*path, key), seen)
    elif isinstance(data, list):
        for number, value in enumerate(data):
            check_plain(value, origin, (*path, str(number)), seen)
    elif isinstance(data, float) and not math.isfinite(data):
        raise ConfigError("not a finite number", where(origin, path))


def absolute_paths(data: Any, base: Path) -> Any:
    """A copy in which file names are absolute: `~` is the user's home, the rest is relative to `base`."""
    if isinstance(data, list):
        return [absolute_paths(value, base) for value in data]
    if not isinstance(data, dict):
        return data
    return {
        key: str(base / Path(value).expanduser())
        if key in _PATH_KEYS and isinstance(value, str) and value
        else (value if key == "labels" else absolute_paths(value, base))
        for key, value in data.items()
    }


def where(origin: str, path: tuple[str, ...] | list[str]) -> str:
    """`FILE: hosts.db01.bmc.credential`."""
    shown = ".".join(printable(step)[1:-1] for step in path)
    return f"{origin}: {shown}" if shown else origin
