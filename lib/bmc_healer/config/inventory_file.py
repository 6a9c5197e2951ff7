"""An inventory file (.yaml, .json, .csv) to host documents: the shape of `hosts` in the configuration.

CSV has a column `host`; the other columns are the paths of settings: `address`, `transport`, `ssh.port`,
`bmc.address`, `bmc.credential`, `labels.rack`. An empty cell is a setting not given.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bmc_healer.config import private, schema
from bmc_healer.config.document import absolute_paths, check_plain, parse_json, parse_yaml
from bmc_healer.errors import ConfigError

_NUMBERS: dict[str, Callable[[str], Any]] = {"ssh.port": int, "bmc.port": int, "ssh.connect_timeout": float}


def read(path: Path) -> dict[str, Any]:
    """Host documents by name as written, checked against the schema, paths absolute.

    :raises ConfigError: naming file, path and reason; a file without a single host too (half written?)
    """
    origin = str(path)
    content, _ = private.read(path)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"not UTF-8 text (byte {error.start})", origin) from None
    parse = _PARSERS.get(path.suffix.lower())
    if parse is None:
        raise ConfigError(f"the name must end in {', '.join(_PARSERS)}", origin)
    documents = parse(text, origin)
    if not documents:
        raise ConfigError("names no host", origin)
    check_plain(documents, origin)
    if isinstance(documents, dict):
        base = path.resolve().parent
        for name in documents:  # in its place: two trees of thousands of hosts are much memory
            documents[name] = absolute_paths(documents[name], base)
    schema.check(documents, schema.hosts(), origin)
    found: dict[str, Any] = documents
    return found


def _parse_csv(text: str, origin: str) -> dict[str, Any]:
    rows = csv.DictReader(io.StringIO(text, newline=""), restkey="", strict=True)
    documents: dict[str, Any] = {}
    try:
        if "host" not in (rows.fieldnames or ()):
            raise ConfigError("the first line must name the columns, with `host` among them", origin)
        for row in rows:
            at = f"{origin}: line {rows.line_num}"
            if "" in row:
                raise ConfigError("more cells than columns, or a column without a name", at)
            name = (row.pop("host") or "").strip()
            if not name or name in documents:
                raise ConfigError("this host is there twice" if name else "the cell `host` is empty", at)
            documents[name] = _nested(row, at)
    except csv.Error as error:
        raise ConfigError(f"not valid CSV: {error}", f"{origin}: line {rows.line_num}") from None
    return documents


def _nested(row: dict[str, str | None], at: str) -> dict[str, Any]:
    """`{"bmc.port": "623"}` to `{"bmc": {"port": 623}}`."""
    document: dict[str, Any] = {}
    for column, cell in row.items():
        if cell is None or not cell.strip():
            continue
        try:
            value = _NUMBERS.get(column, str)(cell.strip())
        except ValueError:
            raise ConfigError(f"the cell `{column}` must be a number", at) from None
        *above, last = column.split(".")
        place = document
        for step in above:
            place = place.setdefault(step, {})
            if not isinstance(place, dict):
                raise ConfigError(f"the columns `{step}` and `{column}` exclude each other", at)
        place[last] = value
    return document


_PARSERS: dict[str, Callable[[str, str], Any]] = {
    ".yaml": parse_yaml,
    ".yml": parse_yaml,
    ".json": parse_json,
    ".csv": _parse_csv,
}
