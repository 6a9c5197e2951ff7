"""The report of a run, from pytest's own record (JUnit XML): printed, and kept as docs/matrix.md."""

from __future__ import annotations

import os
import platform
import xml.etree.ElementTree as Xml
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.guest.matrix.row import Row

HEAD = """\
# The fault matrix

Written by `make matrix`. {cpus} CPUs, {system}, Python {python}.

Each row breaks one thing on purpose and says how the heal must end. Rows with a guest are played against
the real kernel driver and checked from outside: the resets that the BMC itself counted, by channel, the state
of the host, its boot, what chat heard. So a row fails by a reset that is wrong or double, by an end that chat
did not hear, and by the BMC's password in anything that was written or said. A rung in brackets may be left
out. A row with a dash under rungs and resets is proven by a test of its own, which
`tests/guest/matrix/rows` names.

{rows} rows, {good} as expected, {bad} not, {missing} not run; resets that should not have been: {wrong}.
"""
TITLE = "| case | outcome | rungs | resets | host | seconds | |\n|---|---|---|---|---|---|---|\n"


@dataclass(frozen=True)
class Result:
    """What became of a test: its seconds, whether it passed, and what it recorded."""

    node: str
    seconds: float
    passed: bool
    recorded: dict[str, str]


def results(paths: Iterable[Path]) -> list[Result]:
    """All tests of some JUnit files."""
    roots = [Xml.parse(path).getroot() for path in paths if path.exists()]
    return [_result(case) for root in roots for case in root.iter("testcase")]


def _result(case: Xml.Element) -> Result:
    node = f"{case.get('classname', '').replace('.', '/')}.py::{case.get('name')}"
    passed = not any(case.find(kind) is not None for kind in ("failure", "error", "skipped"))
    recorded = {one.get("name", ""): one.get("value", "") for one in case.iter("property")}
    return Result(node, float(case.get("time", 0)), passed, recorded)


def of_row(row: Row, node: str, all_results: Sequence[Result]) -> list[Result]:
    """Those that prove a row: its test, or each parameter of it."""
    return [one for one in all_results if one.node == node or one.node.startswith(f"{node}[")]


def report(rows: Sequence[tuple[Row, str]], all_results: Sequence[Result]) -> tuple[str, bool]:
    """The text, and whether every row ended as expected.

    :param rows: each with the test that proves it
    """
    lines: dict[str, list[str]] = {}
    good = bad = missing = wrong = 0
    for row, node in rows:
        found = of_row(row, node, all_results)
        passed = bool(found) and all(one.passed for one in found)
        good, bad, missing = good + passed, bad + (bool(found) and not passed), missing + (not found)
        wrong += sum(_too_many(row, one) for one in found)
        lines.setdefault(row.theme, []).append(_line(row, found, passed))
    text = HEAD.format(
        cpus=os.cpu_count(),
        system=f"{platform.system()} {'.'.join(platform.release().split('.')[:2])}",
        python=platform.python_version(),
        rows=len(rows),
        good=good,
        bad=bad,
        missing=missing,
        wrong=wrong,
    )
    for theme, own in lines.items():
        text += f"\n## {theme}\n\n{TITLE}{''.join(own)}"
    return text, bool(rows) and good == len(rows)


def _too_many(row: Row, result: Result) -> int:
    """Resets beyond those that the row expects."""
    counted = result.recorded.get("resets", "").split()
    return max(len(counted) - len(row.resets), 0) if row.story else 0


def _line(row: Row, found: Sequence[Result], passed: bool) -> str:
    seconds = f"{sum(one.seconds for one in found):.0f}" if found else "-"
    verdict = "as expected" if passed else ("not as expected" if found else "not run")
    outcome = f"{row.outcome} by {row.healed_by}" if row.healed_by else row.outcome or "-"
    rungs, resets = (" ".join(names) or ("none" if row.story else "-") for names in (row.rungs, row.resets))
    host = row.host if row.story and row.host != "any" else "-"
    case = f"**{row.id}** {row.fault}".replace("|", "\\|")
    return f"| {case} | {outcome} | {rungs} | {resets} | {host} | {seconds} | {verdict} |\n"
