"""The services that st2tests gives actions and sensors (st2tests/mocks of st2 3.9 and 3.10)."""

from __future__ import annotations

from dataclasses import dataclass
from logging import RootLogger
from typing import Any
from unittest.mock import Mock


@dataclass
class KeyValuePair:
    name: str
    value: str
    ttl: int | None = None


class MockDatastoreService:
    """In memory: nothing expires, nothing is encrypted, and `limit` and `offset` are taken and ignored."""

    def __init__(self, pack: str, class_name: str) -> None:
        self._logger = Mock(spec=RootLogger)
        self._local = f"{pack}.{class_name}:"
        self._items: dict[str, KeyValuePair] = {}

    def list_values(
        self,
        local: bool = True,
        prefix: str | None = None,
        limit: int | None = None,
        offset: int | None = None,
    ) -> list[KeyValuePair]:
        full = self._full(prefix or "", local)
        return [item for name, item in self._items.items() if name.startswith(full)]

    def get_value(
        self, name: str, local: bool = True, scope: str = "st2kv.system", decrypt: bool = False
    ) -> str | None:
        item = self._items.get(self._full(name, local))
        return None if item is None else item.value

    def set_value(
        self,
        name: str,
        value: str,
        ttl: int | None = None,
        local: bool = True,
        scope: str = "st2kv.system",
        encrypt: bool = False,
    ) -> bool:
        full = self._full(name, local)
        if ttl:
            self._logger.warning("MockDatastoreService is not able to expire keys based on ttl.")
        self._items[full] = KeyValuePair(full, value, ttl)
        return True

    def delete_value(self, name: str, local: bool = True, scope: str = "st2kv.system") -> bool:
        return self._items.pop(self._full(name, local), None) is not None

    def _full(self, name: str, local: bool) -> str:
        return self._local + name if local else name


class MockActionService(MockDatastoreService):
    """What an action is given as `action_service`."""


class MockSensorService(MockDatastoreService):
    """What a sensor is given as `sensor_service`: its logger is a mock, its triggers are kept."""

    def __init__(self, pack: str, class_name: str) -> None:
        super().__init__(pack, class_name)
        self.dispatched_triggers: list[dict[str, Any]] = []

    def get_logger(self, name: str) -> Mock:
        return self._logger

    def dispatch(self, trigger: str, payload: Any = None, trace_tag: str | None = None) -> dict[str, Any]:
        item = {"trigger": trigger, "payload": payload, "trace_context": trace_tag}
        self.dispatched_triggers.append(item)
        return item
