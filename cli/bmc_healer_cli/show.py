"""Results for people and for machines: the sentence first, then what else is in it; or one JSON document."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from bmc_healer_cli import report
from bmc_healer_cli.clean import clean

_FIRST = ("summary", "sentence")
# Told by the headline, by the steps that were shown already, or of use to machines alone.
_HIDDEN = frozenset(
    {
        *_FIRST,
        "ok",
        "step",
        "error",
        "execution",
        "status",
        "outcome",
        "healed_by",
        "steps",
        "next",
        "seconds",
    }
)
_GAP = 2  # columns between two columns of a table
_LEAST_TEXT = 30  # a last column narrower than this is hard to read
_STYLES = {
    "healed": "bold green",
    "not_needed": "bold green",
    "refused": "bold yellow",
    "proposed": "bold yellow",
}


def json_document(document: Any) -> None:
    """One JSON document on stdout."""
    json.dump(document, sys.stdout, indent=2, default=str)
    sys.stdout.write("\n")


def result(console: Console, document: Mapping[str, Any]) -> None:
    """An action's result: its sentence, then what else is in it, lists as tables."""
    soft = not console.is_terminal  # a pipe gets whole lines
    console.print(_headline(document), soft_wrap=soft)
    hidden = _HIDDEN | ({"host", "incident"} if "outcome" in document else set())
    hidden |= {"identity"} if "evidence" in document else set()  # the evidence tells it too
    for name, value in document.items():
        if name in hidden or value in (None, "", [], {}):
            continue
        title = name.replace("_", " ")
        if name == "evidence" and isinstance(value, Mapping):
            lines(console, [title, *report.evidence(value)])
        elif isinstance(value, list) and all(isinstance(row, Mapping) for row in value):
            lines(console, ["", title])
            table(console, value)
        else:
            console.print(Text.assemble((f"{title}: ", "dim"), _one_line(value)), soft_wrap=soft)
    if "outcome" in document and document.get("incident"):
        story = f"The whole story: bmc-healer report {document['incident']}"
        console.print(Text(story, style="dim"), soft_wrap=soft)


def lines(console: Console, text: Sequence[str]) -> None:
    """Lines of a report; on a terminal they hang below their own text."""
    for line in text:
        shown = report.wrap(clean(line), console.width) if console.is_terminal else clean(line)
        console.print(Text(shown), soft_wrap=True)


def _headline(document: Mapping[str, Any]) -> Text:
    """The sentence; of a heal with host, outcome and rung in front of it."""
    sentence = next((clean(document[name]) for name in _FIRST if document.get(name)), "Done.")
    outcome = str(document.get("outcome") or "")
    if "outcome" not in document:
        return Text(sentence, style="bold")
    by = f" by {document['healed_by']}" if document.get("healed_by") else ""
    host = document.get("host")
    words = f"{outcome.replace('_', ' ') or 'ended without an outcome'}{by}"
    return Text.assemble(
        f"{host}: " if host else "", (words, _STYLES.get(outcome, "bold red")), f". {sentence}"
    )


def table(console: Console, rows: list[Mapping[str, Any]]) -> None:
    """Rows that share their keys, the longest text last: shortened where it must be, or below its row.

    On a pipe: separated by tabs, whole, for awk and friends.
    """
    columns = list(rows[0]) if rows else []
    cells = [[_one_line(row.get(column)) for column in columns] for row in rows]
    if not console.is_terminal:
        console.file.writelines("\t".join(line) + "\n" for line in cells)
        return
    widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
    room = console.width - sum(widths[:-1]) - _GAP * (len(widths) - 1)
    below = room < min(widths[-1], _LEAST_TEXT)
    if not below:
        console.print(_line([column.replace("_", " ") for column in columns], widths, "dim"), no_wrap=True)
    for line in cells:
        console.print(_line(line[:-1] if below else line, widths), no_wrap=True, overflow="ellipsis")
        if below:
            console.print(Padding(Text(line[-1]), (0, 0, 0, 4)))


def _line(cells: list[str], widths: list[int], style: str = "") -> Text:
    padded = (cell.ljust(width + _GAP) for cell, width in zip(cells, widths, strict=False))
    return Text("".join(padded).rstrip(), style=style)


def _one_line(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {_one_line(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_one_line(item) for item in value)
    if isinstance(value, float):
        return f"{value:g}"
    return clean(value).replace("\n", " ")
