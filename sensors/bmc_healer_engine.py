"""What the sensors need of StackStorm beside their base class; nothing in packrunner."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from bmc_healer.executions import ApiExecutions

try:
    from st2common.services.trigger_dispatcher import TriggerDispatcherService
    from st2common.util.config_loader import ContentPackConfigLoader
except ImportError:
    TriggerDispatcherService = ContentPackConfigLoader = None

PACK = "bmc_healer"


class StackStorm:
    """See `bmc_healer.watch.bridge.Engine`."""

    def configuration(self) -> dict[str, Any]:
        """Read as StackStorm reads it when it starts a sensor."""
        config: dict[str, Any] = ContentPackConfigLoader(PACK).get_config()
        return config

    def dispatcher(self) -> Callable[..., Any]:
        """As a sensor is given one at its start, which half a minute without RabbitMQ spoils for good."""
        dispatch: Callable[..., Any] = TriggerDispatcherService(logger=logging.getLogger(__name__)).dispatch
        return dispatch

    def executions(self, service: Any) -> ApiExecutions:
        """With the token that the sensor's datastore uses, and renews."""
        client = service.datastore_service.get_api_client()
        return ApiExecutions(client.endpoints["api"], client.token or "")


ENGINE = StackStorm() if ContentPackConfigLoader else None
