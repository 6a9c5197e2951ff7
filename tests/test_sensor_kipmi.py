"""kipmi_sensor as StackStorm runs it, watching this very machine through /proc; no IPMI command is sent."""

from __future__ import annotations

import json
import time

from kipmi_sensor import KipmiSensor
from st2tests.base import BaseSensorTestCase

from tests.watching import Watching

CONFIG = {
    "mode": "observe",
    "hosts": {"here": {"transport": "local"}},
    "watch": {"counter_window_seconds": 1, "poll_seconds": 1, "probe_seconds": 0},
}
INCIDENT = {
    "key": "here:b00t:1",
    "host": "here",
    "trigger": "kipmi.high_cpu",
    "signature": "high_mark",
    "silent": False,
    "since": 1.0,
}
KEY = "bmc_healer:w:kipmi:incident_3ahere:"


class KipmiSensorTestCase(Watching, BaseSensorTestCase):
    sensor_cls = KipmiSensor

    def test_what_is_over_is_told(self):
        """An earlier watch told of a spinning kipmi; there is none (any more) on this machine."""
        self.remember()
        self.start(CONFIG)
        self.poll_until(self.get_dispatched_triggers)
        self.assertTriggerDispatched("bmc_healer.kipmi.recovered")
        payload = self.get_last_dispatched_trigger()["payload"]
        self.assertEqual((payload["host"], payload["key"]), ("here", "here:b00t:1:recovered"))
        kept = json.loads(self.sensor_service.get_value(KEY, local=False))["document"]
        self.assertEqual(kept["key"], payload["key"], "the next watch tells it again, unless it is taken up")

    def test_a_configuration_that_is_wrong_is_a_line_in_the_log(self):
        self.start({"mode": "observe", "host": {}})
        self.poll_until(lambda: self.has_told("nothing is watched: "))
        self.assertTrue(self.has_told("unknown key 'host', did you mean 'hosts'?"), self.told())
        self.assertEqual(self.get_dispatched_triggers(), [])

    def test_no_configuration_at_all_is_a_line_in_the_log(self):
        self.start(None)
        self.poll_until(lambda: self.has_told("Write `mode: observe`"))

    def test_a_datastore_that_is_down_is_told_once_and_tried_again(self):
        whole = self.sensor_service.list_values
        self.sensor_service.list_values = self.unreachable
        self.start(CONFIG)
        for _ in range(3):
            self.sensor.poll()
        self.assertEqual(
            len([line for line in self.told() if "datastore would not " in line]), 1, self.told()
        )
        self.sensor_service.list_values = whole
        self.remember()
        self.poll_until(self.get_dispatched_triggers)

    def remember(self):
        document = {**INCIDENT, "told_at": time.time()}
        kept = json.dumps({"name": "incident:here", "document": document})
        self.sensor_service.set_value(KEY, kept, local=False)

    @staticmethod
    def unreachable(**_):
        raise ConnectionError("refused")
