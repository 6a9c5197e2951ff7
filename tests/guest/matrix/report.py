"""The report of what is kept of all rows, or of some: printed, and kept as docs/matrix.md."""

from __future__ import annotations

import os
import platform
from collections import Counter
from collections.abc import Sequence

from tests.guest.matrix.kept import Result
from tests.guest.matrix.row import Row

HEAD = """\
# The fault matrix

Written by `make matrix`. {cpus} CPUs, {system}, Python {python}.

Each row breaks one thing on purpose and says how the heal must end. Rows with a guest are played against
the real kernel driver and checked from outside: the resets that the BMC itself counted, by channel, the state
of the host, its boot, what chat heard. So a row fails by a reset that is wrong or double, by an end that chat
did not hear, and by the BMC's password in anything that was written or said. A rung in brackets may be left
out. A row with a dash under rungs and resets is proven by a test of its own, which
`tests/guest/matrix/rows` names. Each row stands as its last run left it (`tests/guest/matrix/kept.json`).

{rows} rows, {good} as expected, {bad} not, {missing} not run; wrong resets: {wrong};
duplicate resets: {double}; lost incidents: {lost}; leaked secrets: {leaked}.
"""
HARMS = ("wrong", "double", "lost", "leaked")
TITLE = "| case | outcome | rungs | resets | host | seconds | |\n|---|---|---|---|---|---|---|\n"


def of_row(row: Row, node: str, all_results: Sequence[Result]) -> list[Result]:
    """Those that prove a row: its test, or each parameter of it."""
    return [one for one in all_results if one.node == node or one.node.startswith(f"{node}[")]


def report(rows: Sequence[tuple[Row, str]], all_results: Sequence[Result]) -> tuple[str, bool]:
    """The text, and whether every row ended as expected.

    :param rows: each with the test that proves it
    """
    lines: dict[str, list[str]] = {}
    good = bad = missing = 0
    counted: Counter[str] = Counter()
    for row, node in rows:
        found = of_row(row, node, all_results)
        passed = bool(found) and all(one.passed for one in found)
        good, bad, missing = good + passed, bad + (bool(found) and not passed), missing + (not found)
        for one in found if row.story else ():
            counted += harm(row, one)
        lines.setdefault(row.theme, []).append(_line(row, found, passed))
    text = HEAD.format(
        cpus=os.cpu_count(),
        system=f"{platform.system()} {'.'.join(platform.release().split('.')[:2])}",
        python=platform.python_version(),
        rows=len(rows),
        good=good,
        bad=bad,
        missing=missing,
        **{what: counted[what] for what in HARMS},
    )
    for theme, own in lines.items():
        text += f"\n## {theme}\n\n{TITLE}{''.join(own)}"
    return text, bool(rows) and good == len(rows)


def harm(row: Row, result: Result) -> Counter[str]:
    """What must never be: `wrong` resets (on a channel on which the row expects none), `double` ones (more
    than it expects there), incidents `lost` and secrets `leaked`.
    """
    found: Counter[str] = Counter({what: int(result.recorded.get(what) or 0) for what in ("lost", "leaked")})
    for channel, more in (Counter(result.recorded.get("resets", "").split()) - Counter(row.resets)).items():
        found["double" if channel in row.resets else "wrong"] += more
    return found


def _line(row: Row, found: Sequence[Result], passed: bool) -> str:
    seconds = f"{sum(one.seconds for one in found):.0f}" if found else "-"
    verdict = "as expected" if passed else ("not as expected" if found else "not run")
    # What was seen, where it was recorded, and not what was wished for
    seen = found[0].recorded if row.story and found else {}
    ended, by = seen.get("outcome", row.outcome), seen.get("healed_by", row.healed_by)
    outcome = f"{ended} by {by}" if by else ended or "-"
    sent = seen["resets"].split() if "resets" in seen else row.resets
    rungs, resets = (" ".join(names) or ("none" if row.story else "-") for names in (row.rungs, sent))
    host = row.host if row.story and row.host != "any" else "-"
    case = f"**{row.id}** {row.fault}".replace("|", "\\|")
    return f"| {case} | {outcome} | {rungs} | {resets} | {host} | {seconds} | {verdict} |\n"
