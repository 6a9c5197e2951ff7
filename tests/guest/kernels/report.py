"""The table of docs/kernels.md."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

KEPT = Path(__file__).with_name("kept")
COLUMNS = ("5.10", "6.1", "6.12", "7.2", "legacy", "builtin")
HEAD = """\
# What each kernel does when the BMC hangs in-band

Written by `make kernels`, on a machine with {cpus} CPUs: QEMU without KVM, KCS polled. Percentages of a core
are those of that run; on a machine that was busy with other things they may be off.

Kernels: {kernels}; `legacy` is 6.1 with the
older kipmid and the older unload, `builtin` 6.1 with a small configuration that has ipmi_si built in. In the
other columns "driver built in" and "hotmod" are a module whose entry in /proc/modules is hidden by a bind
mount in the guest; the writes to `hotmod` and what the driver does with them are real. A dash was not played.
"""


def kept() -> dict[str, dict[str, Any]]:
    """What was seen when each column's cases were last played, on whatever machine."""
    paths = {name: KEPT / f"{name}.json" for name in COLUMNS}
    return {name: json.loads(path.read_text()) for name, path in paths.items() if path.exists()}


def keep(name: str, release: str, case: str, seen: dict[str, Any]) -> None:
    """A case's lines and what was unexpected. Another release: what was seen of the older one goes."""
    column = kept().get(name, {"release": release, "cases": {}})
    cases = column["cases"] if column["release"] == release else {}
    column = {"release": release, "cases": {**cases, case: seen}}
    KEPT.mkdir(exist_ok=True)
    (KEPT / f"{name}.json").write_text(json.dumps(column, indent=1) + "\n")


def table(
    columns: dict[str, dict[str, Any]], cases: Sequence[str], cpus: int, of_a_module: Collection[str] = ()
) -> str:
    """The document: the cases in their order, each with its lines.

    :param of_a_module: cases that a built-in driver cannot be asked
    """
    names = list(columns)
    kernels = ", ".join(sorted({column["release"] for column in columns.values()}))
    text = HEAD.format(cpus=cpus, kernels=kernels)
    text += f"\n| | {' | '.join(names)} |\n|---|{'---|' * len(names)}\n"
    bad = []
    for case in cases:
        seen = {name: columns[name]["cases"].get(case, {"lines": {}, "unexpected": []}) for name in names}
        missing = {name: "no module" if name == "builtin" and case in of_a_module else "-" for name in names}
        for row in dict.fromkeys(row for name in names for row in seen[name]["lines"]):
            values = [str(seen[name]["lines"].get(row, missing[name])).replace("|", "\\|") for name in names]
            text += f"| {row} | {' | '.join(values)} |\n"
        bad += [f"{name}: {what}" for name in names for what in seen[name]["unexpected"]]
    return text + "\nNot as expected: " + ("; ".join(bad) if bad else "nothing") + ".\n"
