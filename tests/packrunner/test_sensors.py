"""Sensors in their own processes: dispatch, dropped payloads, crashes, the end."""

from __future__ import annotations

import json
import logging
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from packrunner import sensors
from packrunner.errors import AlreadyServingError
from packrunner.events import Event
from packrunner.runner import PackRunner

from .conftest import until


class Served:
    """A runner that serves in a thread, and the file its sensor takes orders from."""

    def __init__(self, runner: PackRunner, orders: Path) -> None:
        self.runner = runner
        self.orders = orders
        self.stop = threading.Event()
        runner.datastore.set("orders", str(orders))
        self.thread = threading.Thread(target=runner.serve, args=(self.stop,))
        self.thread.start()

    def pids(self) -> list[int]:
        pair = until(lambda: self.runner.datastore.get("pids"))
        return list(json.loads(pair.value))

    def tell(self, *lines: Any) -> None:
        text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
        draft = self.orders.with_suffix(".draft")
        draft.write_text(text)
        draft.rename(self.orders)


@pytest.fixture
def served(runner: PackRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.setattr(sensors, "FIRST_BACKOFF_SECONDS", 0.2)
    made = Served(runner, tmp_path / "orders")
    yield made
    made.stop.set()
    made.thread.join()


def test_from_the_sensor_to_the_action(served: Served, seen: list[Event]) -> None:
    served.tell(["tpack.beat.seen", {"host": "db7", "level": 9, "marks": []}])
    ended = until(lambda: [event for event in seen if event.kind == "execution.ended"])
    assert ended[0].action == "tpack.echo"
    assert ended[0].result["result"]["parameters"]["text"] == "db7"
    kinds = [event.kind for event in seen]
    assert kinds.index("sensor.started") < kinds.index("trigger") < kinds.index("rule.matched")


def test_a_bad_payload_is_dropped_with_a_warning(
    served: Served, seen: list[Event], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="packrunner"):
        served.tell(
            ["tpack.beat.seen", {"host": 5}],
            ["tpack.beat.gone", {}],
            ["tpack.beat.seen", {"host": "db7", "level": 9, "marks": []}],
        )
        until(lambda: [event for event in seen if event.kind == "rule.matched"])
    dropped = [event.detail["reason"] for event in seen if event.kind == "trigger.dropped"]
    assert dropped == [
        "tpack.beat.seen: host: 5 is not of type 'string'",
        "tpack.beat.gone: the pack declares no such trigger type",
    ]
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert any("host: 5 is not of type" in text for text in warnings)
    assert any("BeatSensor.beat dispatching tpack.beat.seen" in text for text in warnings)


def test_a_crashed_sensor_comes_back(served: Served, seen: list[Event]) -> None:
    first = served.pids()
    served.tell("crash")
    until(lambda: served.pids() != first)
    exits = [event.detail for event in seen if event.kind == "sensor.exited"]
    assert exits[0]["exit_code"] == 1
    served.tell(["tpack.beat.seen", {"host": "db7", "level": 9, "marks": []}])
    until(lambda: [event for event in seen if event.kind == "rule.matched"])


def test_the_end_is_sigterm_without_cleanup(served: Served) -> None:
    pids = served.pids()
    served.stop.set()
    served.thread.join()
    until(lambda: not any(_alive(pid) for pid in pids))
    assert not Path(f"{served.orders}.cleaned").exists()


def test_the_note_where_the_api_is(served: Served, state_dir: Path) -> None:
    note = state_dir / "api.json"
    until(note.exists)
    assert stat.S_IMODE(note.stat().st_mode) == 0o600
    about = json.loads(until(note.read_text))
    assert about == {"url": served.runner.api_url, "token": served.runner.api_token, "pid": os.getpid()}
    served.stop.set()
    served.thread.join()
    assert not note.exists()


def test_a_sensor_dies_with_its_engine(tmp_path: Path) -> None:
    script = (
        "import sys, threading; from pathlib import Path; from packrunner.runner import PackRunner\n"
        "runner = PackRunner(Path(sys.argv[1]), {'mode': 'a'}, Path(sys.argv[2]))\n"
        "runner.datastore.set('orders', sys.argv[3]); runner.serve(threading.Event())\n"
    )
    pack, state = Path(__file__).parent / "pack", tmp_path / "state"
    engine = subprocess.Popen([sys.executable, "-c", script, str(pack), str(state), str(tmp_path / "orders")])
    try:
        with PackRunner(pack, {"mode": "a"}, state) as other:
            pair = until(lambda: other.datastore.get("pids"))
        pids = json.loads(pair.value)
        assert all(_alive(pid) for pid in pids)
    finally:
        engine.send_signal(signal.SIGKILL)
        engine.wait()
    until(lambda: not any(_alive(pid) for pid in pids))


def _alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_two_do_not_serve_at_once(served: Served, state_dir: Path) -> None:
    served.pids()
    with PackRunner(Path(__file__).parent / "pack", {"mode": "a"}, state_dir) as second:
        with pytest.raises(AlreadyServingError, match="another process runs the sensors"):
            second.serve(threading.Event())
        served.stop.set()
        served.thread.join()
        stop = threading.Event()
        stop.set()
        second.serve(stop)  # the lock was given back
