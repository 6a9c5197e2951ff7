"""`python -m tests.guest.kernels [KERNEL ...] [CASE ...]`: play the cases, write docs/kernels.md.

What is played again replaces what was seen before (`kept/`); the rest stays as its last run left it.
"""

from __future__ import annotations

import os
import sys
import time
import traceback
from pathlib import Path
from tempfile import TemporaryDirectory

from lab import Lab
from lab.kernel import SUITES
from tests.guest.kernels.cases import CASES, MODULE, Bench
from tests.guest.kernels.report import COLUMNS, keep, kept, table

ROOT = Path(__file__).resolve().parents[3]
DOCUMENT = ROOT / "docs" / "kernels.md"
OWN_KERNEL = {"legacy": ("legacy", "6.1"), "builtin": ("builtin", "6.1")}
MARK = "<!-- what a run writes ends here -->"


def play(name: str, only: list[str]) -> list[str]:
    """The cases of one column, each on a healthy guest; what was not as it must be on whatever kernel."""
    driver, kernel = OWN_KERNEL.get(name, ("stock", name))
    unexpected: list[str] = []
    with TemporaryDirectory() as folder, Lab(driver=driver, kernel=SUITES[kernel], name="kernels") as lab:
        for case in CASES:
            if (only and case.__name__ not in only) or (driver == "builtin" and case in MODULE):
                continue
            bench = Bench(lab, Path(folder), lab.guest("uname -r").out.strip())
            lines: dict[str, str] = {}
            began = time.monotonic()
            try:
                lines = case(bench)
            except Exception as error:  # noqa: BLE001 - the table tells it, the others go on
                traceback.print_exc()
                bench.unexpected.append(f"{case.__name__}: {str(error).splitlines()[0]}")
            seconds = round(time.monotonic() - began)
            print(f"{name}: {case.__name__} {seconds} s", flush=True)
            unexpected += bench.unexpected
            keep(name, bench.kernel, case.__name__, {"lines": lines, "unexpected": bench.unexpected})
            lab.restore()
    return unexpected


def main(words: list[str]) -> int:
    """The exit status: 1 when something was not as it must be on whatever kernel."""
    cases = [case.__name__ for case in CASES]
    only = [word for word in words if word in cases]
    names = [word for word in words if word in COLUMNS]
    if unknown := [word for word in words if word not in (*only, *names)]:
        print(f"there is no {', '.join(unknown)}; {', '.join((*COLUMNS, *cases))} are", file=sys.stderr)
        return 2
    bad = [f"{name}: {what}" for name in names or COLUMNS for what in play(name, only)]
    for what in bad:
        print(f"not as expected: {what}", file=sys.stderr)
    own = DOCUMENT.read_text().partition(MARK)[2] if DOCUMENT.exists() else "\n"
    module = [case.__name__ for case in MODULE]
    DOCUMENT.write_text(f"{table(kept(), cases, os.cpu_count() or 0, module)}\n{MARK}{own}")
    print(f"written: {DOCUMENT.relative_to(ROOT)}")
    return 1 if bad else 0


sys.exit(main(sys.argv[1:]))
