"""The services and the stand-ins, called directly: what the processes of actions and sensors see of them."""

from __future__ import annotations

import json
import logging
import os
import sqlite3
from pathlib import Path

import pytest

from packrunner.childhood import Unbreakable, classes_in, load_module
from packrunner.services import DatastoreService, SensorService
from packrunner.standins.st2common.runners.base_action import Action
from packrunner.standins.st2reactor.sensor.base import PollingSensor

LOG = logging.getLogger("test")


@pytest.fixture
def service(tmp_path: Path) -> DatastoreService:
    return DatastoreService(tmp_path / "state" / "packrunner.db", "p", "Class", LOG)


def test_a_broken_datastore(service: DatastoreService, tmp_path: Path) -> None:
    """As in StackStorm: get_value answers None, which reads as "not set"; list_values and set_value raise."""
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "packrunner.db").write_text("this is no database, and never was one" * 100)
    assert service.get_value("a") is None
    assert service.delete_value("a") is False
    with pytest.raises(sqlite3.Error):
        service.list_values()
    with pytest.raises(sqlite3.Error):
        service.set_value("a", 1)


def test_pages(service: DatastoreService) -> None:
    for number in range(120):
        service.set_value(f"k{number:03}", number, local=False)
    assert len(service.list_values(local=False)) == 100
    assert len(service.list_values(local=False, offset=100)) == 20
    assert len(service.list_values(local=False, limit=-1)) == 120
    assert service.list_values() == []
    assert [pair.id for pair in service.list_values(local=False, prefix="k11", limit=2)] == ["k110", "k111"]


def test_dispatch_writes_one_line(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    service = SensorService(tmp_path / "x.db", "p", "Class", writing, LOG)
    service.dispatch("p.trigger", {"text": "two\nlines", "path": Path("/x")})
    service.dispatch(trigger="p.other", payload=None, trace_tag="t")
    os.close(writing)
    with os.fdopen(reading) as stream:
        lines = [json.loads(line) for line in stream]
    assert lines[0] == {"trigger": "p.trigger", "payload": {"text": "two\nlines", "path": "/x"}}
    assert lines[1] == {"trigger": "p.other", "payload": None}
    assert service.get_logger("beat").name == "test.beat"


class Hello(Action):
    def run(self, **kwargs: object) -> object:
        return self.config["missing"]


def test_a_missing_configuration_item_is_a_value_error() -> None:
    with pytest.raises(ValueError, match='Item "missing" is missing'):
        Hello({"present": 1}).run()
    assert Hello().config.get("missing") is None
    assert Hello().logger.name == "actions.python.Hello"


class Once(PollingSensor):
    polls = 0

    def setup(self) -> None: ...

    def poll(self) -> None:
        self.polls += 1
        if self.polls == 3:
            raise RuntimeError("enough")

    def cleanup(self) -> None: ...

    def add_trigger(self, trigger: object) -> None: ...

    def update_trigger(self, trigger: object) -> None: ...

    def remove_trigger(self, trigger: object) -> None: ...


def test_polling_ends_with_an_exception() -> None:
    sensor = Once(sensor_service=None, config={"a": 1}, poll_interval=9)
    assert sensor.get_poll_interval() == 9
    sensor.set_poll_interval(0)
    with pytest.raises(RuntimeError, match="enough"):
        sensor.run()
    assert (sensor.polls, sensor.config) == (3, {"a": 1})


def test_a_stream_without_a_reader(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    stream = Unbreakable(os.fdopen(writing, "wb", buffering=0), encoding="utf-8", write_through=True)
    assert stream.write("nobody hears this") == 17
    stream.flush()


def test_loading_takes_only_the_modules_own_classes(tmp_path: Path) -> None:
    file = tmp_path / "some_action.py"
    file.write_text("from pathlib import Path\nclass B: ...\nclass A: ...\n")
    assert [kind.__name__ for kind in classes_in(load_module(file))] == ["A", "B"]
