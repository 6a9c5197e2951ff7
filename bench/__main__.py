"""`make bench`: everything side by side in one run, written to docs/; 1 when a promise is missed.

`python -m bench soak [--minutes 30]`: whether memory and descriptors stay flat, written to docs/soak.md.
`python -m bench logins [--hosts 10000]`: how soon SSH hosts are watched again, written to docs/logins.md.
"""

from __future__ import annotations

import argparse
import os
import sys

from bench import bmcs, hosts, plot, processes, report
from bench.measure import ROOT, BenchError, Bound, alone, compiled, section
from lab import LabError, fleet, tools


def main() -> int:
    """Run all sections, write the page, print the promises."""
    before = f"{os.getloadavg()[0]:.1f}"
    tools.ensure({**fleet.PACKAGES, **bmcs.PACKAGES, **processes.PACKAGES, **hosts.PACKAGES})
    fleet.binary()
    for program in ("cost", "crowd"):
        compiled(program)
    rows, bounds = [], []
    for name, behind in (("bmcs", [*alone(), "-n"]), ("processes", alone()), ("hosts", [])):
        more, promised = section(name, *behind)
        rows += more
        bounds += promised
    (ROOT / "docs" / "bench.md").write_text(report.page(rows, bounds, before=before))
    (ROOT / "docs" / "bench.svg").write_text(plot.svg(rows))
    for chapter in report.CHAPTERS:
        print(f"\n{chapter.title}\n{report.table(rows, chapter)}")
    return _judged(bounds, "docs/bench.md, docs/bench.svg")


def soak(minutes: float) -> int:
    """Run the soak, write its page, print the promises."""
    before = f"{os.getloadavg()[0]:.1f}"
    tools.ensure({**fleet.PACKAGES, **hosts.PACKAGES})
    fleet.binary()
    rows, bounds = section("soak", *alone(), "-n", arguments=[str(minutes)])
    (ROOT / "docs" / "soak.md").write_text(report.soak_page(rows, bounds, before=before))
    return _judged(bounds, "docs/soak.md")


def logins(count: int) -> int:
    """Run the logins, write their page, print the promises."""
    before = f"{os.getloadavg()[0]:.1f}"
    tools.ensure(hosts.PACKAGES)
    rows, bounds = section("logins", *alone(), "-n", arguments=[str(count)])
    (ROOT / "docs" / "logins.md").write_text(report.logins_page(rows, bounds, before=before))
    return _judged(bounds, "docs/logins.md")


def _judged(bounds: list[Bound], written: str) -> int:
    print(f"\n{report.promises(bounds)}\n\nwritten: {written}")
    return 0 if all(bound.held for bound in bounds) else 1


if __name__ == "__main__":
    try:
        parser = argparse.ArgumentParser(prog="python -m bench")
        commands = parser.add_subparsers(dest="command")
        commands.add_parser("soak").add_argument("--minutes", type=float, default=30.0)
        commands.add_parser("logins").add_argument("--hosts", type=int, default=10_000)
        given = parser.parse_args()
        if given.command == "soak":
            sys.exit(soak(given.minutes))
        sys.exit(logins(given.hosts) if given.command == "logins" else main())
    except (BenchError, LabError) as error:
        sys.exit(f"bench: {error}")
