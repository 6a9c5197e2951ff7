"""``Sensor`` and ``PollingSensor`` with what StackStorm gives them: config and sensor_service."""

from __future__ import annotations

import abc
import time
from collections.abc import Mapping
from typing import Any

__all__ = ["PollingSensor", "Sensor"]


class Sensor(abc.ABC):
    """Base class of sensors that run by themselves."""

    def __init__(self, sensor_service: Any, config: Mapping[str, Any] | None = None) -> None:
        self.sensor_service = self._sensor_service = sensor_service
        self.config = self._config = dict(config or {})

    @abc.abstractmethod
    def setup(self) -> None:
        """Called once before ``run``."""

    @abc.abstractmethod
    def run(self) -> None:
        """Never returns."""

    @abc.abstractmethod
    def cleanup(self) -> None:
        """Never called: a sensor ends by SIGTERM."""

    @abc.abstractmethod
    def add_trigger(self, trigger: Any) -> None:
        """Not called here."""

    @abc.abstractmethod
    def update_trigger(self, trigger: Any) -> None:
        """Not called here."""

    @abc.abstractmethod
    def remove_trigger(self, trigger: Any) -> None:
        """Not called here."""


class PollingSensor(Sensor):
    """Base class of sensors that are asked again and again; seconds between two calls of ``poll``."""

    def __init__(
        self, sensor_service: Any, config: Mapping[str, Any] | None = None, poll_interval: float = 5
    ) -> None:
        super().__init__(sensor_service, config)
        self._poll_interval = poll_interval

    @abc.abstractmethod
    def poll(self) -> None:
        """Look once."""

    def run(self) -> None:
        """Poll for ever; an exception that escapes ``poll`` ends the process."""
        while True:
            self.poll()
            time.sleep(self._poll_interval)

    def get_poll_interval(self) -> float:
        """Seconds."""
        return self._poll_interval

    def set_poll_interval(self, poll_interval: float) -> None:
        """Seconds."""
        self._poll_interval = poll_interval
