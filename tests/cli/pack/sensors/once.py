"""Dispatches one trigger, for the host that has nothing to heal."""

from st2reactor.sensor.base import PollingSensor


class OnceSensor(PollingSensor):
    """See the module."""

    def setup(self):
        """Nothing was seen yet."""
        self.seen = False

    def poll(self):
        """See it once."""
        if not self.seen:
            self.seen = True
            self.sensor_service.dispatch(trigger="bmc_healer.kipmi.high_cpu", payload={"host": "well"})

    def cleanup(self):
        """Nothing to clean."""

    def add_trigger(self, trigger):
        """Unused."""

    def update_trigger(self, trigger):
        """Unused."""

    def remove_trigger(self, trigger):
        """Unused."""
