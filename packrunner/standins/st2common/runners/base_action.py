"""``Action`` with what StackStorm gives its python actions: config, logger, action_service."""

from __future__ import annotations

import abc
import logging
from collections.abc import Mapping
from typing import Any

__all__ = ["Action"]


class _PackConfig(dict[str, Any]):
    """As in StackStorm, a missing key is a ValueError with a hint."""

    def __missing__(self, key: str) -> Any:
        raise ValueError(f'Item "{key}" is missing in the configuration of the pack')


def _logger(name: str, level: str) -> logging.Logger:
    """Lines on stderr, as the action runner expects them."""
    logger = logging.getLogger(f"actions.python.{name}")
    if not logger.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(name)-12s: %(levelname)-8s %(message)s"))
        logger.addHandler(handler)
        logger.setLevel(getattr(logging, level.upper(), logging.DEBUG))
        logger.propagate = False
    return logger


class Action(abc.ABC):
    """Base class of python actions."""

    description: str | None = None

    def __init__(self, config: Mapping[str, Any] | None = None, action_service: Any = None) -> None:
        self.config = _PackConfig(config or {})
        self.action_service = action_service
        self.logger = _logger(type(self).__name__, getattr(action_service, "log_level", "DEBUG"))

    @abc.abstractmethod
    def run(self, **kwargs: Any) -> Any:
        """Do it; ``(True, result)``, ``(False, result)``, or any other value for success."""
