"""Base classes of pack tests: those of st2tests.base as far as this pack's tests use them."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import TestCase

import yaml

from packrunner import alias_format
from st2tests.mocks import MockActionService, MockSensorService

__all__ = ["BaseActionAliasTestCase", "BaseActionTestCase", "BaseSensorTestCase"]


class BasePackResourceTestCase(TestCase):
    """The pack is the folder above the test's own; fixtures are in tests/fixtures."""

    def get_fixture_content(self, fixture_path: str) -> str:
        return (self._pack() / "tests" / "fixtures" / fixture_path).read_text()

    def _pack(self) -> Path:
        return Path(inspect.getfile(type(self))).resolve().parent.parent


class BaseActionTestCase(BasePackResourceTestCase):
    """A case of the action `action_cls`."""

    action_cls: Any = None

    def setUp(self) -> None:
        super().setUp()
        self.action_service = MockActionService("tests", self.action_cls.__name__)

    def get_action_instance(self, config: dict[str, Any] | None = None) -> Any:
        return self.action_cls(config=config, action_service=self.action_service)


class BaseSensorTestCase(BasePackResourceTestCase):
    """A case of the sensor `sensor_cls`."""

    sensor_cls: Any = None

    def setUp(self) -> None:
        super().setUp()
        self.sensor_service = MockSensorService("tests", self.sensor_cls.__name__)

    def get_sensor_instance(
        self, config: dict[str, Any] | None = None, poll_interval: float | None = None
    ) -> Any:
        given: dict[str, Any] = {"sensor_service": self.sensor_service}
        if config:
            given["config"] = config
        if poll_interval is not None:
            given["poll_interval"] = poll_interval
        return self.sensor_cls(**given)

    def get_dispatched_triggers(self) -> list[dict[str, Any]]:
        return self.sensor_service.dispatched_triggers

    def get_last_dispatched_trigger(self) -> dict[str, Any]:
        return self.sensor_service.dispatched_triggers[-1]

    def assertTriggerDispatched(self, trigger: str, payload: Any = None) -> bool:  # noqa: N802 (st2tests' name)
        for item in self.get_dispatched_triggers():
            if item["trigger"] == trigger and (not payload or item["payload"] == payload):
                return True
        raise AssertionError(f'Trigger "{trigger}" hasn\'t been dispatched')


@dataclass
class Alias:
    """An alias as the registration keeps it."""

    name: str
    formats: list[Any]
    immutable_parameters: dict[str, Any]

    def get_format_strings(self) -> list[str]:
        strings: list[str] = []
        for form in self.formats:
            strings += form["representation"] if isinstance(form, dict) else [form]
        return strings


class BaseActionAliasTestCase(BasePackResourceTestCase):
    """A case of the alias `action_alias_name`."""

    action_alias_name: str | None = None

    def setUp(self) -> None:
        super().setUp()
        if not self.action_alias_name:
            raise ValueError('"action_alias_name" class attribute needs to be provided')
        self.action_alias_db = self._alias(self.action_alias_name)

    def assertCommandMatchesExactlyOneFormatString(  # noqa: N802 (st2tests' name)
        self, format_strings: list[str], command: str
    ) -> None:
        matched = [form for form in format_strings if alias_format.parse(form, command) is not None]
        if not matched:
            raise AssertionError(f'Command "{command}" didn\'t match any of the provided format strings')
        if len(matched) > 1:
            raise AssertionError(f'Command "{command}" matched multiple format strings: {", ".join(matched)}')

    def assertExtractedParametersMatch(  # noqa: N802 (st2tests' name)
        self, format_string: str, command: str, parameters: dict[str, Any]
    ) -> None:
        if format_string not in self.action_alias_db.get_format_strings():
            raise ValueError(f'Format string "{format_string}" is not available on the alias')
        extracted = alias_format.parse(format_string, command)
        if extracted is None:
            raise ValueError(f'Command "{command}" doesn\'t match format string "{format_string}"')
        self.assertEqual(extracted, parameters)

    def _alias(self, name: str) -> Alias:
        for file in sorted((self._pack() / "aliases").glob("*.yaml")):
            found = yaml.safe_load(file.read_text())
            if found["name"] == name:
                return Alias(name, found["formats"], found.get("immutable_parameters", {}))
        raise ValueError(f'Alias with name "{name}" not found')
