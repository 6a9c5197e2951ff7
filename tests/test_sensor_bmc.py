"""bmc_sensor as StackStorm runs it: a BMC on loopback answers, falls silent, and comes back."""

from __future__ import annotations

import json

import yaml
from bmc_sensor import BmcSensor
from st2tests.base import BaseSensorTestCase

from bmc_healer.state.keys import fleet_part
from tests.loopback import Loopback
from tests.watching import Watching

ANSWERED = f"bmc_healer:l:{fleet_part('db01')}:bmc:"
PASSWORD = "a-pa55word"


class BmcSensorTestCase(Watching, BaseSensorTestCase):
    sensor_cls = BmcSensor

    def setUp(self):
        super().setUp()
        self.config = yaml.safe_load(self.get_fixture_content("config.yaml"))
        del self.config["hosts"]["db02"]
        self.config["watch"] = {"bmc_poll_seconds": 1, "bmc_failures": 1, "recover_polls": 1}
        self.sensor_service.set_value("bmc_dell", PASSWORD, local=False, encrypt=True)

    def test_a_bmc_that_falls_silent_and_returns_is_told(self):
        with Loopback("bmc") as bmc:
            self.config["hosts"]["db01"]["bmc"]["port"] = bmc.port
            self.start(self.config)
            self.poll_until(lambda: ANSWERED in self.names())
            self.assertEqual(self.get_dispatched_triggers(), [])
        self.poll_until(self.get_dispatched_triggers)
        self.assertTriggerDispatched("bmc_healer.bmc.unresponsive")
        silent = self.get_last_dispatched_trigger()["payload"]
        self.assertEqual((silent["host"], silent["path"], silent["address"]), ("db01", "oob", "127.0.0.1"))
        with Loopback("bmc", bmc.port):
            self.poll_until(lambda: self.dispatched("bmc_healer.bmc.recovered"))
        (back,) = self.dispatched("bmc_healer.bmc.recovered")
        key = f"{silent['key']}:recovered"
        self.assertEqual((back["host"], back["key"], back["path"]), ("db01", key, "oob"))
        self.assertEqual(len(self.get_dispatched_triggers()), 2)
        self.assertNotIn(PASSWORD, json.dumps(self.get_dispatched_triggers()) + "".join(self.told()))

    def test_a_configuration_that_is_wrong_is_a_line_in_the_log(self):
        self.config["hosts"]["db01"]["bmc"]["credential"] = "hp"
        self.start(self.config)
        self.poll_until(lambda: self.has_told("nothing is watched: "))
        self.assertTrue(self.has_told("hosts.db01.bmc.credential"), self.told())
        self.assertEqual(self.get_dispatched_triggers(), [])

    def test_a_configuration_that_is_no_mapping_is_a_line_in_the_log(self):
        for name in ("hosts", "credentials", "watch"):
            self.sensor_service.get_logger(name="any").reset_mock()
            self.start({**self.config, name: ["db01"]})
            self.poll_until(lambda: self.has_told("nothing is watched: "))
            self.assertTrue(self.has_told(f"{name}: must be a mapping, not a list"), self.told())
