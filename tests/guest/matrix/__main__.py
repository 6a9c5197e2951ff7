"""`make matrix`: runs every row, prints the report and keeps it; with words, only rows whose id holds one.

Rows with a guest run four at a time, the others beside them are quick; those marked `alone` come last.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from lab.build import build
from lab.kernel import DEFAULT
from tests.guest.matrix.report import report, results
from tests.guest.matrix.row import Row, rows

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "matrix.md"
GUESTS = 4


def main(words: list[str]) -> int:
    """Exit status 0: every row that was run ended as expected."""
    chosen = [row for row in rows() if not words or any(word in row.id for word in words)]
    proofs = [(row, row.proof) for row in chosen]
    with tempfile.TemporaryDirectory() as folder:
        files = run(sorted({node for _, node in proofs}), chosen, Path(folder))
        text, good = report(proofs, results(files))
    print(text)
    if not words:
        PAGE.write_text(text)
    return 0 if good else 1


def run(nodes: list[str], chosen: list[Row], folder: Path) -> list[Path]:
    """Pytest's record of them."""
    guests = [node for node in nodes if node.startswith("tests/guest/")]
    others = [node for node in nodes if node not in guests]
    if guests:
        for driver, kernel in {(row.lab["driver"], row.lab.get("kernel", DEFAULT)) for row in chosen}:
            build(driver, kernel)
    runs = [(guests, ["-n", str(GUESTS), "--dist", "loadgroup"]), (others, ["-m", "not alone"])]
    runs.append((others, ["-m", "alone"]))
    files = []
    for number, (some, how) in enumerate(runs):
        if not some:
            continue
        files.append(folder / f"{number}.xml")
        subprocess.run(
            [sys.executable, "-m", "pytest", "-q", f"--junitxml={files[-1]}", *how, *some],
            cwd=ROOT,
            check=False,
        )
    return files


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
