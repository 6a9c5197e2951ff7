"""Pack tests (the files directly in tests/) run on StackStorm's st2tests, or on stand-ins of its classes.

`st2-run-pack-tests` collects the whole of tests/ with StackStorm's interpreter, which has none of the
packages that the folders' tests need: where a real st2tests is, folders are left out. One that is named
(tools/test names them all) is collected all the same: pytest never ignores what it was asked for.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import pytest

with suppress(ImportError):  # StackStorm's interpreter does not need it
    from hypothesis import settings

TESTS = Path(__file__).parent
PACK = TESTS.parent


def real_st2tests() -> bool:
    """Processes of xdist inherit the path, and may find the stand-in already: that is no StackStorm."""
    spec = find_spec("st2tests")
    return spec is not None and not Path(spec.origin or "").is_relative_to(TESTS)


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--played`: tests/guest runs on played hosts (tests/guest/played) instead of in QEMU."""
    parser.addoption("--played", action="store_true")


collect_ignore: list[str] = []

if real_st2tests():
    collect_ignore += [found.name for found in TESTS.iterdir() if found.is_dir()]
else:
    # Nearly the same examples in every run (Hypothesis also tries constants of the modules that happen to be
    # loaded): one that fails by chance belongs to whoever looks for it, with
    # HYPOTHESIS_PROFILE=default, and not to the next change.
    settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))
    # what st2-run-pack-tests puts on the path, and what StackStorm would bring
    added = (PACK / "sensors", PACK / "actions", TESTS / "standins", PACK / "packrunner" / "standins")
    sys.path += [str(path) for path in added if str(path) not in sys.path]
