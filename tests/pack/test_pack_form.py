"""What `st2-run-pack-tests` collects: pytest over the whole of tests/, with an st2tests, without our plugins.

The st2tests here is a copy of the stand-in at another place: only where it is found matters for that.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from tests import conftest
from tests.pack.temporary import PACK

FILES = {f"tests/{file.name}" for file in (PACK / "tests").glob("test_*.py")}
OURS = ("-p", "no:xdist", "-p", "no:timeout", "-p", "no:cov")


@pytest.fixture
def collected(tmp_path):
    """What pytest collects there: from the paths to the files."""
    shutil.copytree(PACK / "tests" / "standins" / "st2tests", tmp_path / "st2tests")
    folders = (tmp_path, PACK / "sensors", PACK / "actions", PACK / "packrunner" / "standins")
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, folders))}

    def collect(*paths):
        argv = [sys.executable, "-m", "pytest", *OURS, "--collect-only", "-q", *paths]
        done = subprocess.run(argv, cwd=PACK, env=environ, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout
        return {line.partition("::")[0] for line in done.stdout.splitlines() if "::" in line}

    return collect


def test_only_the_files_in_the_form_of_pack_tests(collected):
    assert collected("tests/") == FILES
    assert {file.split("_")[1].removesuffix(".py") for file in FILES} >= {"action", "sensor", "aliases"}


def test_a_folder_that_is_named_is_collected_all_the_same(collected):
    """So `make test`, which names them, is whole also where a StackStorm is installed."""
    assert "tests/unit/config/test_load.py" in collected("tests/unit", "tests/pack")


def test_the_stand_in_is_no_stackstorm():
    """It is on the path here, and nothing is left out."""
    assert not conftest.real_st2tests()
    assert conftest.collect_ignore == []
