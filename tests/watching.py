"""What the cases of both sensors have in common: a sensor with its real watch process."""

from __future__ import annotations

import time

SECONDS = 60.0  # a turn of the watch takes two at most; a busy machine may need more


class Watching:
    """A mix-in; the sensor and its watch process end with the test."""

    def start(self, config):
        self.sensor = self.get_sensor_instance(config=config, poll_interval=5)
        self.sensor.setup()
        self.addCleanup(self.sensor.cleanup)
        return self.sensor

    def poll_until(self, condition):
        """Poll as StackStorm does, only more often, until it holds; `poll()` must raise nothing."""
        deadline = time.monotonic() + SECONDS
        while not condition():
            self.assertLess(time.monotonic(), deadline, self.told())
            self.sensor.poll()
            time.sleep(0.05)

    def dispatched(self, trigger):
        return [item["payload"] for item in self.get_dispatched_triggers() if item["trigger"] == trigger]

    def told(self):
        """The lines in the sensor's log so far; what its logger was called with."""
        logger = self.sensor_service.get_logger(name="any")
        lines = []
        for name, arguments, _ in logger.method_calls:
            template, *values = arguments[1:] if name == "log" else arguments
            if not template.startswith("MockDatastoreService "):  # it complains of every ttl in the same log
                lines.append(template % tuple(values))
        return lines

    def has_told(self, text):
        return any(text in line for line in self.told())

    def names(self):
        """Keys in the datastore, without the store's own marks."""
        return [item.name for item in self.sensor_service.list_values(local=False) if "~" not in item.name]
