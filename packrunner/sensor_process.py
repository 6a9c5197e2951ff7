"""The process of one sensor: ``python -m packrunner.sensor_process``.

The request is JSON on stdin: file, class_name, pack, config, poll_interval, database, parent, fd. Triggers
leave through the pipe ``fd``. It ends by SIGTERM, also when the engine dies; ``cleanup`` is never called.
"""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import Any

from packrunner import childhood, processes
from packrunner.services import SensorService


def main() -> int:
    """Run the sensor for ever; 1 when it returned or raised."""
    processes.die_with_parent()
    request = childhood.settle()
    if os.getppid() != request["parent"]:
        return 1
    childhood.provide_standins()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s %(message)s")
    logger = logging.getLogger(request["class_name"])
    try:
        sensor = _build(request, logger)
        sensor.setup()
        sensor.run()
    except Exception:
        logger.exception("the sensor failed")
    return 1


def _build(request: dict[str, Any], logger: logging.Logger) -> Any:
    from st2reactor.sensor.base import PollingSensor

    module = childhood.load_module(Path(request["file"]))
    kind = getattr(module, request["class_name"], None)
    if kind is None:
        raise ImportError(f"{request['file']} has no class {request['class_name']}")
    service = SensorService(
        Path(request["database"]), request["pack"], request["class_name"], request["fd"], logger
    )
    interval = request["poll_interval"]
    polling = {"poll_interval": interval} if interval and issubclass(kind, PollingSensor) else {}
    return kind(sensor_service=service, config=request["config"], **polling)


if __name__ == "__main__":
    sys.exit(main())
