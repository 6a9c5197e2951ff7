"""An audit for people: a table, what is missing, how to mend it; on a pipe whole lines; or one document."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from bmc_healer.audit import BMC_CHECKS, HOST_CHECKS, LADDER, Auto, HostAudit, State
from bmc_healer.config.settings import Mode
from bmc_healer.plan import RUNGS
from bmc_healer_cli.clean import clean
from bmc_healer_cli.output import give_up

_KINDS = 5  # different faults of one kind that are told in full
_ALL = "`bmc-healer audit | less` tells all"
_ORDER = (*HOST_CHECKS, *BMC_CHECKS, LADDER, *RUNGS, "")
_HEADS = {"host_key": "key", "ipmitool": "tool", "identity": "ident", "inband": "inb", "unload": "unl"}
_MARKS = {
    State.GOOD: ("\N{CHECK MARK}", "+", "green"),
    State.MISSING: ("\N{BALLOT X}", "x", "bold red"),
    State.UNSEEN: ("?", "?", "yellow"),
    State.NONE: ("-", "-", "dim"),
}
_AUTO = {Auto.YES: "green", Auto.PARTLY: "yellow", Auto.NO: "bold red", Auto.BY_HAND: "dim"}


class _Found(NamedTuple):
    """A sentence about a host, and one that says what to do."""

    about: str
    host: str
    what: str
    do: str = ""


def summary(audits: Sequence[HostAudit], asked: int, mode: Mode) -> str:
    """How many hosts lack something, and how many `auto` could heal."""
    lacking = sum(1 for result in audits if result.missing)
    able = sum(1 for result in audits if result.auto is Auto.YES)
    by_hand = sum(1 for result in audits if result.auto is Auto.BY_HAND)
    seen = f"{len(audits)} {'host' if len(audits) == 1 else 'hosts'}"
    parts = [] if len(audits) == asked else [f"Interrupted: {len(audits)} of {asked} hosts were looked at."]
    parts.append(
        f"{lacking} of {seen} {'lacks' if lacking == 1 else 'lack'} something."
        if lacking
        else f"Nothing is missing on {seen}."
    )
    only = f", {by_hand} only by hand" if by_hand else ""
    parts.append(f"`auto` could heal {able} of {len(audits)}{only}; mode is {mode.value}.")
    return " ".join(parts)


def document(audits: Sequence[HostAudit], asked: int, sentence: str, warning: str | None) -> dict[str, Any]:
    """The one JSON document."""
    return {
        "sentence": sentence,
        "asked": asked,
        "lacking": [result.host for result in audits if result.missing],
        "warning": warning,
        "hosts": [
            {
                "host": result.host,
                "auto": result.auto.value,
                "sentence": result.sentence,
                "rungs": list(result.rungs),
                "left_out": result.left_out,
                "checks": {check.name: check.state.value for check in result.checks},
                "missing": [
                    {"check": check.name, "what": check.what, "do": check.do} for check in result.missing
                ],
                "notes": list(result.notes),
            }
            for result in audits
        ],
    }


def show(console: Console, audits: Sequence[HostAudit], sentence: str, warning: str | None) -> None:
    """The table, then everything that was found, the summary last."""
    if not console.is_terminal:
        try:
            for line in _lines(audits, sentence, warning):
                console.file.write("\t".join(clean(cell) for cell in line) + "\n")
            console.file.flush()
        except BrokenPipeError:  # `| head`; the exit status stays the audit's
            give_up()
        return
    if audits:
        console.print(_table(console, audits))
    missing = [
        _Found(check.name, result.host, *check.sentences) for result in audits for check in result.missing
    ]
    left_out = [_Found(rung, result.host, why) for result in audits for rung, why in result.left_out.items()]
    notes = [_Found("", result.host, note) for result in audits for note in result.notes]
    _section(console, "Missing", missing, "bold red")
    _section(console, "Rungs that would be left out", left_out, "yellow")
    _section(console, "Good to know", notes, "cyan")
    console.print()
    if len(audits) == 1:
        console.print(Text(clean(audits[0].sentence)))
    if warning:
        console.print(Text(clean(warning), style="yellow"))
    console.print(Text(clean(sentence), style="bold"))


def _lines(audits: Sequence[HostAudit], sentence: str, warning: str | None) -> Iterable[Sequence[str]]:
    """For a pipe: host, auto, rungs, what is missing; then a line for every finding; nothing is shortened."""
    for result in audits:
        lacks = ",".join(check.name for check in result.missing)
        yield result.host, result.auto.value, ",".join(result.rungs) or "-", lacks or "complete"
    for result in audits:
        yield from ((f"{result.host}: {check.name}: {check.sentence}",) for check in result.missing)
        yield from ((f"{result.host}: without {rung}: {why}",) for rung, why in result.left_out.items())
        yield from ((f"{result.host}: {note}",) for note in result.notes)
    if warning:
        yield (warning,)
    yield (sentence,)


def _table(console: Console, audits: Sequence[HostAudit]) -> Table:
    plain = not console.encoding.lower().startswith("utf")
    names = (*HOST_CHECKS, *BMC_CHECKS, *RUNGS)
    heads = [_HEADS.get(name, name) for name in names]
    last = max(len(auto.value) for auto in Auto)
    room = console.width - sum(len(head) + 1 for head in heads) - last - 1
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("host", no_wrap=True, overflow="ellipsis", max_width=max(room, 8))
    for head in heads:
        table.add_column(head, no_wrap=True, justify="center", width=len(head))
    table.add_column("auto", no_wrap=True, width=last)
    for result in audits:
        states = {check.name: check.state for check in result.checks}
        states |= {rung: State.GOOD if rung in result.rungs else State.NONE for rung in RUNGS}
        marks = (_MARKS[states[name]] for name in names)
        cells = [Text(ascii if plain else good, style=style) for good, ascii, style in marks]
        table.add_row(Text(result.host), *cells, Text(result.auto.value, style=_AUTO[result.auto]))
    return table


def _section(console: Console, title: str, found: Iterable[_Found], style: str) -> None:
    """What is the same for several hosts is said once, with what the first of them should do."""
    groups: dict[tuple[str, str], list[_Found]] = {}
    for each in sorted(found, key=lambda each: _ORDER.index(each.about)):
        groups.setdefault((each.about, each.what), []).append(each)
    if groups:
        console.print(Text(f"\n{title}", style="bold"))
    for about, several in groupby(groups.items(), key=lambda group: group[0][0]):
        kinds = [members for _, members in several]
        for members in kinds[:_KINDS]:
            head = Text(f"  {about.replace('_', ' ')}  " if about else "  ", style=style)
            head.append(_some(each.host for each in members), style="default")
            console.print(head, no_wrap=True, overflow="ellipsis")
            likewise = " The others likewise." if len({each.do for each in members}) > 1 else ""
            text = f"{members[0].what} {members[0].do}".strip() + likewise
            console.print(Padding(Text(clean(text)), (0, 0, 0, 4)))
        rest = sum(map(len, kinds[_KINDS:]))
        if rest:
            console.print(Padding(Text(f"... and {rest} more hosts, each its own way: {_ALL}"), (0, 0, 0, 4)))


def _some(hosts: Iterable[str]) -> str:
    """`20 hosts: db00, db01, db02`."""
    names = list(hosts)
    return f"{len(names)} hosts: {', '.join(names)}" if len(names) > 1 else names[0]
