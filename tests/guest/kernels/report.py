"""The table of docs/kernels.md."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

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


def table(columns: dict[str, dict[str, Any]], cases: Sequence[str], cpus: int) -> str:
    """The document: the cases in their order, each with its lines."""
    names = list(columns)
    kernels = ", ".join(sorted({column["release"] for column in columns.values()}))
    text = HEAD.format(cpus=cpus, kernels=kernels)
    text += f"\n| | {' | '.join(names)} |\n|---|{'---|' * len(names)}\n"
    bad = []
    for case in cases:
        seen = {name: columns[name]["cases"].get(case, {"lines": {}, "unexpected": []}) for name in names}
        for row in dict.fromkeys(row for name in names for row in seen[name]["lines"]):
            values = [str(seen[name]["lines"].get(row, "-")).replace("|", "\\|") for name in names]
            text += f"| {row} | {' | '.join(values)} |\n"
        bad += [f"{name}: {what}" for name in names for what in seen[name]["unexpected"]]
    return text + "\nNot as expected: " + ("; ".join(bad) if bad else "nothing") + ".\n"
