"""StackStorm's adapter of the kipmi watch; what it does is in `bmc_healer.watch.bridge`."""

from __future__ import annotations

from typing import Any

from bmc_healer_engine import ENGINE
from st2reactor.sensor.base import PollingSensor

from bmc_healer.watch.bridge import Bridge


class KipmiSensor(PollingSensor):  # type: ignore[misc]  # StackStorm has no types
    """Watches hosts for a spinning kipmi, hung IPMI clients and a stuck driver."""

    def setup(self) -> None:
        """Nothing is started yet: a failure here would end the sensor."""
        logger = self.sensor_service.get_logger(name="kipmi_sensor")
        self._bridge = Bridge("kipmi", self.sensor_service, self.config, logger, engine=ENGINE)

    def poll(self) -> None:
        """One turn; raises nothing."""
        self._bridge.poll()

    def cleanup(self) -> None:
        """StackStorm never calls this; packrunner does."""
        self._bridge.close()

    def add_trigger(self, trigger: dict[str, Any]) -> None:
        """These triggers have no parameters."""

    def update_trigger(self, trigger: dict[str, Any]) -> None:
        """These triggers have no parameters."""

    def remove_trigger(self, trigger: dict[str, Any]) -> None:
        """These triggers have no parameters."""
