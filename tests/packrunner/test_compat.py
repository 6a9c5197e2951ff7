"""The module that makes orquesta 1.2.0 run, and keeps away from a newer one."""

from __future__ import annotations

import collections
import subprocess
import sys

import pytest

from packrunner import compat

SCRIPT = """
from packrunner import compat
compat.prepare(); compat.prepare()
import sys
from orquesta.utils import parameters
print(parameters.parse_inline_params('a=true b="c d" e=1.5 f=FALSE'))
print([name for name in sys.modules if name.startswith("lib2to3") and sys.version_info >= (3, 13)])
"""


def test_inline_parameters_in_a_fresh_process() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error::FutureWarning", "-c", SCRIPT], capture_output=True, text=True
    )
    assert done.stdout.splitlines() == ["[{'a': True}, {'b': 'c d'}, {'e': 1.5}, {'f': False}]", "[]"], (
        done.stderr
    )


def test_a_newer_orquesta_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compat.metadata, "version", lambda name: "1.3.0")
    monkeypatch.delattr(collections, "MutableSequence", raising=False)
    compat.prepare()
    assert not hasattr(collections, "MutableSequence")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1.2.0", (1, 2, 0)), ("1.2.0.dev3", (1, 2, 0)), ("1.10", (1, 10)), ("2.0rc1", (2,))],
)
def test_releases(text: str, expected: tuple[int, ...]) -> None:
    assert compat._release(text) == expected
