import json
import os
import pathlib
import subprocess
import sys

from st2reactor.sensor.base import PollingSensor


class BeatSensor(PollingSensor):
    """Every line of the file named in the datastore's key ``orders`` is dispatched, or obeyed."""

    def setup(self):
        self.log = self.sensor_service.get_logger("beat")
        self.set_poll_interval(0.05)
        self.orders = pathlib.Path(self.sensor_service.get_value("orders", local=False))
        self.child = subprocess.Popen(
            [sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE
        )
        self.sensor_service.set_value("pids", json.dumps([os.getpid(), self.child.pid]), local=False)

    def poll(self):
        if not self.orders.exists():
            return
        taken = self.orders.with_suffix(".taken")
        self.orders.rename(taken)
        for line in taken.read_text().splitlines():
            if line == "crash":
                raise RuntimeError("told to crash")
            trigger, payload = json.loads(line)
            self.log.warning("dispatching %s", trigger)
            self.sensor_service.dispatch(trigger=trigger, payload=payload)

    def cleanup(self):
        pathlib.Path(str(self.orders) + ".cleaned").write_text("never")

    def add_trigger(self, trigger):
        pass

    def update_trigger(self, trigger):
        pass

    def remove_trigger(self, trigger):
        pass
