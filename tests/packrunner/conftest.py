"""A runner on the small pack beside this file, and ways to wait."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from packrunner.events import Event
from packrunner.runner import PackRunner

PACK = Path(__file__).parent / "pack"
CONFIG = {"mode": "a"}
StartEngine = Callable[[str, dict[str, Any]], tuple[Any, str]]


def until(condition: Callable[[], Any], seconds: float = 15.0) -> Any:
    """The condition's first true value; fails after ``seconds``."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError("it did not come true in time")
        time.sleep(0.02)


@pytest.fixture
def seen() -> list[Event]:
    """All events of ``runner``."""
    return []


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def runner(state_dir: Path, seen: list[Event]) -> Iterator[PackRunner]:
    with PackRunner(PACK, CONFIG, state_dir, on_event=seen.append) as made:
        yield made


@pytest.fixture
def start_engine(state_dir: Path) -> Iterator[StartEngine]:
    """Starts another engine process; gives the process and the id of its execution."""
    started: list[subprocess.Popen[str]] = []

    def start(action: str, parameters: dict[str, Any]) -> tuple[subprocess.Popen[str], str]:
        script = str(Path(__file__).parent / "engine.py")
        process = subprocess.Popen(
            [sys.executable, script, str(state_dir), action, json.dumps(parameters)],
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout
        return process, process.stdout.readline().strip()

    yield start
    for process in started:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()
