"""`make bench`: everything side by side in one run, written to docs/; 1 when a promise is missed."""

from __future__ import annotations

import os
import sys

from bench import bmcs, hosts, plot, processes, report
from bench.measure import ROOT, BenchError, compiled, section
from lab import LabError, fleet, tools


def main() -> int:
    """Run all sections, write the page, print the promises."""
    before = f"{os.getloadavg()[0]:.1f}"
    tools.ensure({**fleet.PACKAGES, **bmcs.PACKAGES, **processes.PACKAGES, **hosts.PACKAGES})
    fleet.binary()
    for program in ("cost", "crowd"):
        compiled(program)
    alone = ["unshare", *([] if os.geteuid() == 0 else ["-r"]), "-p", "-f", "--mount-proc", "--kill-child"]
    rows, bounds = [], []
    for name, behind in (("bmcs", [*alone, "-n"]), ("processes", alone), ("hosts", [])):
        more, promised = section(name, *behind)
        rows += more
        bounds += promised
    (ROOT / "docs" / "bench.md").write_text(report.page(rows, bounds, before=before))
    (ROOT / "docs" / "bench.svg").write_text(plot.svg(rows))
    for chapter in report.CHAPTERS:
        print(f"\n{chapter.title}\n{report.table(rows, chapter)}")
    print(f"\n{report.promises(bounds)}\n\nwritten: docs/bench.md, docs/bench.svg")
    return 0 if all(bound.held for bound in bounds) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (BenchError, LabError) as error:
        sys.exit(f"bench: {error}")
