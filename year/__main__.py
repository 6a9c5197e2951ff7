"""`make year`: runs it, prints what came of it, and writes docs/year.md and docs/year.svg."""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
import time
from pathlib import Path

from year.report import markdown, svg, wrongs
from year.simulation import Simulation

REPORT_DAYS = 10


def main() -> int:
    """Exit status 1 when anything happened that must never happen."""
    options = argparse.ArgumentParser(prog="python -m year", description=__doc__)
    options.add_argument("--hosts", type=int, default=10_000)
    options.add_argument("--days", type=float, default=365)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument(
        "--docs", type=Path, help="where year.md and year.svg go, every ten days; default: nowhere"
    )
    given = options.parse_args()
    began = time.process_time()
    with tempfile.TemporaryDirectory() as place:
        simulation = Simulation(given.hosts, given.seed, Path(place))
        for ten in range(math.ceil(given.days / REPORT_DAYS)):
            days = min((ten + 1) * REPORT_DAYS, given.days)
            simulation.run(days)
            text = markdown(simulation, days, given.seed)
            if given.docs:
                (given.docs / "year.md").write_text(text)
                (given.docs / "year.svg").write_text(svg(simulation.book, days))
            told = (
                f"day {days:.0f}: {len(wrongs(simulation))} wrong, {time.process_time() - began:.0f} s of CPU"
            )
            sys.stderr.write(f"{told}\n")
    sys.stdout.write(text)
    for line in wrongs(simulation):
        sys.stderr.write(line + "\n")
    return 1 if wrongs(simulation) else 0


if __name__ == "__main__":
    sys.exit(main())
