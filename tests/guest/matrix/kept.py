"""What became of each test of the matrix when it was last run: kept beside the rows, test by test.

A run of an hour that is broken off, or renewed for some rows, is not lost. As a plugin of pytest
(`-p tests.guest.matrix.kept`) it keeps each test as it ends.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

FILE = Path(__file__).with_name("kept.json")


@dataclass(frozen=True)
class Result:
    """What became of a test: its seconds, whether it passed, and what it recorded."""

    node: str
    seconds: float
    passed: bool
    recorded: dict[str, str] = field(default_factory=dict)


def results(file: Path = FILE) -> list[Result]:
    """All that are kept."""
    found = json.loads(file.read_text()) if file.exists() else {}
    return [Result(node, **one) for node, one in found.items()]


def keep(result: Result, file: Path = FILE) -> None:
    """In the place of what an earlier run of the same test left."""
    found = {one.node: one for one in results(file)} | {result.node: result}
    documents = {node: {k: v for k, v in asdict(one).items() if k != "node"} for node, one in found.items()}
    file.write_text(json.dumps(dict(sorted(documents.items())), indent=1) + "\n")


_under_way: dict[str, list[pytest.TestReport]] = {}


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Set-up, call and teardown of a test, of which the last one ends it. Under xdist only where all meet."""
    parts = _under_way.setdefault(report.nodeid, [])
    parts.append(report)
    if report.when == "teardown":
        del _under_way[report.nodeid]
        recorded = {str(name): str(value) for name, value in report.user_properties}
        seconds = round(sum(part.duration for part in parts), 1)
        passed = len(parts) == 3 and all(part.passed for part in parts)
        keep(Result(report.nodeid.partition("@")[0], seconds, passed, recorded))


def pytest_configure(config: pytest.Config) -> None:
    """A worker of xdist tells its controller, and keeps nothing itself."""
    if hasattr(config, "workerinput"):
        config.pluginmanager.unregister(name="tests.guest.matrix.kept")
