"""The kept corpus through every parser: only documented errors escape, in bounded time."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.fuzz.targets import TARGETS

CORPUS = Path(__file__).parent / "corpus"
FILES = sorted(CORPUS.glob("*/*"))
SLOW_SECONDS = 2.0  # CPU, of one file


def test_every_target_has_a_corpus():
    assert {file.parent.name for file in FILES} == set(TARGETS)


@pytest.mark.parametrize("target", TARGETS)
def test_the_corpus_finds_nothing(target):
    """Every file to every target: what is harmless to one parser may not be to another."""
    for file in FILES:
        data = file.read_bytes()
        before = time.thread_time()
        TARGETS[target](data)
        assert time.thread_time() - before < SLOW_SECONDS, file
