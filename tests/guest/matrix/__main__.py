"""`make matrix`: runs every row, prints the report and keeps it.

With words: renews only the rows whose id holds one; `unproven` stands for those that are not kept as
expected, so that a run that was broken off is gone on with.

Rows with a guest run four at a time, the others beside them are quick; those marked `alone` come last.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from lab.build import build
from lab.kernel import DEFAULT
from tests.guest.matrix import kept
from tests.guest.matrix.report import of_row, report
from tests.guest.matrix.row import Row, rows

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "matrix.md"
GUESTS = 4
UNPROVEN = "unproven"


def main(words: list[str]) -> int:
    """Exit status 0: every row that was run ended as expected."""
    everything = rows()
    if not words:
        kept.FILE.unlink(missing_ok=True)
    chosen = everything if not words else [row for row in everything if asked_for(row, words)]
    run(chosen)
    PAGE.write_text(report([(row, row.proof) for row in everything], kept.results())[0])
    text, good = report([(row, row.proof) for row in chosen], kept.results())
    print(text)
    return 0 if good else 1


def asked_for(row: Row, words: list[str]) -> bool:
    """Whether one of the words means this row."""
    if UNPROVEN in words:
        found = of_row(row, row.proof, kept.results())
        return not (found and all(one.passed for one in found))
    return any(word in row.id for word in words)


def run(chosen: list[Row]) -> None:
    """Each test is kept as it ends."""
    nodes = sorted({row.proof for row in chosen})
    guests = [node for node in nodes if node.startswith("tests/guest/")]
    others = [node for node in nodes if node not in guests]
    if guests:
        for driver, kernel in {(row.lab["driver"], row.lab.get("kernel", DEFAULT)) for row in chosen}:
            build(driver, kernel)
    runs = [(guests, ["-n", str(GUESTS), "--dist", "loadgroup"]), (others, ["-m", "not alone"])]
    runs.append((others, ["-m", "alone"]))
    for some, how in runs:
        if some:
            pytest = [sys.executable, "-m", "pytest", "-q", "-p", "tests.guest.matrix.kept", *how, *some]
            subprocess.run(pytest, cwd=ROOT, check=False)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
