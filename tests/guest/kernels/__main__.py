"""`python -m tests.guest.kernels [KERNEL ...]`: play the cases on each kernel, write docs/kernels.md.

A kernel that is played again replaces its column; the others stay as their last run left them.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from lab import Lab
from lab.kernel import SUITES
from tests.guest.kernels.cases import ANYWHERE, MODULE, Bench
from tests.guest.kernels.report import COLUMNS, table

ROOT = Path(__file__).resolve().parents[3]
KEPT = ROOT / "build" / "kernels"
DOCUMENT = ROOT / "docs" / "kernels.md"
OWN_KERNEL = {"legacy": ("legacy", "6.1"), "builtin": ("builtin", "6.1")}
MARK = "<!-- what a run writes ends here -->"


def play(name: str) -> list[str]:
    """One column, each case on a healthy guest; what was not as it must be on whatever kernel."""
    driver, kernel = OWN_KERNEL.get(name, ("stock", name))
    lines: dict[str, str] = {}
    with TemporaryDirectory() as folder, Lab(driver=driver, kernel=SUITES[kernel], name="kernels") as lab:
        bench = Bench(lab, Path(folder), lab.guest("uname -r").out.strip())
        for case in ANYWHERE if driver == "builtin" else (*MODULE, *ANYWHERE):
            began = time.monotonic()
            try:
                lines |= case(bench)
            except Exception as error:  # noqa: BLE001 - the table tells it, the others go on
                traceback.print_exc()
                bench.unexpected.append(f"{case.__name__}: {str(error).splitlines()[0]}")
            print(f"{name}: {case.__name__} {time.monotonic() - began:.0f} s", flush=True)
            lab.restore()
            column = {"release": bench.kernel, "lines": lines, "unexpected": bench.unexpected}
            KEPT.mkdir(parents=True, exist_ok=True)
            (KEPT / f"{name}.json").write_text(json.dumps(column, indent=1))
    return bench.unexpected


def main(names: list[str]) -> int:
    """The exit status: 1 when something was not as it must be on whatever kernel."""
    if unknown := [name for name in names if name not in COLUMNS]:
        print(f"there is no {', '.join(unknown)}; {', '.join(COLUMNS)} are", file=sys.stderr)
        return 2
    bad = 0
    for name in names or COLUMNS:
        for what in play(name):
            print(f"{name}: not as expected: {what}", file=sys.stderr)
            bad = 1
    columns = {}
    for name in COLUMNS:
        with suppress(FileNotFoundError):
            columns[name] = json.loads((KEPT / f"{name}.json").read_text())
    own = DOCUMENT.read_text().partition(MARK)[2] if DOCUMENT.exists() else "\n"
    DOCUMENT.write_text(f"{table(columns, os.cpu_count() or 0)}\n{MARK}{own}")
    print(f"written: {DOCUMENT.relative_to(ROOT)}")
    return bad


sys.exit(main(sys.argv[1:]))
