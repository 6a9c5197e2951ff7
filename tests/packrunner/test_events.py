"""Whoever listens to a runner cannot harm it."""

from __future__ import annotations

from pathlib import Path

import pytest

from packrunner.events import Event
from packrunner.runner import PackRunner

from .conftest import CONFIG, PACK


@pytest.mark.parametrize("raised", [ValueError, BrokenPipeError, SystemExit])
def test_a_listener_that_raises_harms_nothing(state_dir: Path, raised: type[BaseException]) -> None:
    def listener(event: Event) -> None:
        raise raised(event.kind)

    with PackRunner(PACK, CONFIG, state_dir, on_event=listener) as runner:
        begun = runner.run_action("tpack.flow", {"text": "db1"}, wait=False)
        assert runner.wait(begun.id, timeout=60).status == "succeeded"
