"""The steps of a heal, started by hand: without the host's lock each refuses, and nothing is sent."""

from __future__ import annotations

import socket

import yaml
from end_heal import EndHeal
from load_ipmi import LoadIpmi
from reap_ipmitool import ReapIpmitool
from reset_bmc_inband import ResetBmcInband
from reset_bmc_oob import ResetBmcOob
from st2tests.base import BaseActionTestCase
from throttle_kipmid import ThrottleKipmid
from unload_ipmi import UnloadIpmi
from verify import Verify

INCIDENT = "db01-20261121-104512"


class Refusing:
    """The case of one step; a mix-in."""

    extra: tuple[tuple[str, str], ...] = ()
    refusal = "db01: {} does not hold the lock. Start a heal: bmc heal."

    def setUp(self):
        super().setUp()
        self.config = yaml.safe_load(self.get_fixture_content("config.yaml"))
        self.bmc = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(self.bmc.close)
        self.bmc.bind(("127.0.0.1", 0))
        self.bmc.setblocking(False)
        self.config["hosts"]["db01"]["bmc"]["port"] = self.bmc.getsockname()[1]

    def run_action(self, **parameters):
        return self.get_action_instance(config=self.config).run(**dict(self.extra), **parameters)

    def test_it_refuses_without_a_lock(self):
        self.refused(INCIDENT)
        with self.assertRaises(BlockingIOError):
            self.bmc.recv(512)

    def test_what_is_no_incident_is_refused(self):
        for incident in ("none", "../x", "db01-20261121-104512 or another"):
            self.refused(incident)

    def test_a_host_that_is_nobody_s_is_refused(self):
        ok, result = self.run_action(host="db99", incident=INCIDENT)
        self.assertIs(ok, False, result)
        self.assertRegex(result["sentence"], r"db99.* (does not hold the lock|is not in the configuration)\.")

    def refused(self, incident):
        expected = {"sentence": self.refusal.format(incident), "error": "StateError"}
        self.assertEqual(self.run_action(host="db01", incident=incident), (False, expected))


class EndHealTestCase(Refusing, BaseActionTestCase):
    action_cls = EndHeal
    refusal = "db01: there is no heal {}. See bmc-healer incidents."


class LoadIpmiTestCase(Refusing, BaseActionTestCase):
    action_cls = LoadIpmi


class ReapIpmitoolTestCase(Refusing, BaseActionTestCase):
    action_cls = ReapIpmitool


class ResetBmcInbandTestCase(Refusing, BaseActionTestCase):
    action_cls = ResetBmcInband


class ResetBmcOobTestCase(Refusing, BaseActionTestCase):
    action_cls = ResetBmcOob


class ThrottleKipmidTestCase(Refusing, BaseActionTestCase):
    action_cls = ThrottleKipmid


class UnloadIpmiTestCase(Refusing, BaseActionTestCase):
    action_cls = UnloadIpmi


class VerifyTestCase(Refusing, BaseActionTestCase):
    action_cls = Verify
    extra = (("gate", "gate_in_band_reset"),)
