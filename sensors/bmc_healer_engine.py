"""What the sensors need of StackStorm beside their base class; nothing in packrunner."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

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


ENGINE = StackStorm() if ContentPackConfigLoader else None
