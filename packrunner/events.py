"""What happens while the runner runs, as plain data for whoever shows it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

LOG = logging.getLogger(__name__)

EXECUTION_STARTED = "execution.started"
EXECUTION_DELAYED = "execution.delayed"
EXECUTION_ENDED = "execution.ended"
TRIGGER = "trigger"
TRIGGER_DROPPED = "trigger.dropped"
RULE_MATCHED = "rule.matched"
RULE_FAILED = "rule.failed"
SENSOR_STARTED = "sensor.started"
SENSOR_EXITED = "sensor.exited"
STARTED = "runner.started"


@dataclass(frozen=True)
class Event:
    """One thing that happened.

    ``kind`` is one of this module's constants; ``at`` epoch seconds. Of an execution: its ``execution`` id,
    the ``parent``'s and the outermost workflow's ``root`` id, the ``action``, the ``task`` in the parent
    (empty for the outermost), ``status``, and at the end ``result`` and ``seconds``. ``detail`` holds the
    rest: trigger, payload, rule, sensor, reason, url.
    """

    kind: str
    at: float
    execution: str = ""
    parent: str = ""
    root: str = ""
    action: str = ""
    task: str = ""
    status: str = ""
    result: Any = None
    seconds: float | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """For JSON lines."""
        return asdict(self)


class Events:
    """Calls the listener, one event at a time; a listener that raises is logged and harms nothing."""

    def __init__(self, listener: Callable[[Event], None] | None) -> None:
        self._listener = listener
        self._lock = threading.Lock()

    def emit(self, event: Event) -> None:
        """Tell the listener."""
        if self._listener is None:
            return
        with self._lock:
            try:
                self._listener(event)
            except (Exception, SystemExit):  # rich raises SystemExit when nobody reads what it prints
                LOG.exception("the listener failed on %s", event.kind)
