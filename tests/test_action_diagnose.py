"""diagnose and sweep as StackStorm runs them: they look, say what they found, and change nothing."""

from __future__ import annotations

import json

import yaml
from diagnose import Diagnose
from st2tests.base import BaseActionTestCase
from sweep import Sweep

from tests.loopback import Loopback

PASSWORD = "a-pa55word"


class Looking:
    """A BMC on loopback for db01; nobody at that of db02. A mix-in."""

    def setUp(self):
        super().setUp()
        self.config = yaml.safe_load(self.get_fixture_content("config.yaml"))
        self.bmc = Loopback("bmc").__enter__()
        self.addCleanup(self.bmc.__exit__)
        self.config["hosts"]["db01"]["bmc"]["port"] = self.bmc.port
        self.action_service.set_value("bmc_dell", PASSWORD, local=False, encrypt=True)

    def look(self, **parameters):
        ok, result = self.get_action_instance(config=self.config).run(**parameters)
        self.assertNotIn(PASSWORD, json.dumps(result))
        return ok, result

    def keys(self, family):
        return [
            item.name for item in self.action_service.list_values(local=False, prefix=f"bmc_healer:{family}")
        ]


class DiagnoseTestCase(Looking, BaseActionTestCase):
    action_cls = Diagnose

    def test_a_bmc_that_answers_pings_and_gives_no_session(self):
        ok, result = self.look(host="DB01", incident="")
        self.assertIs(ok, True, result)
        seen = result["evidence"]["bmc"]
        self.assertEqual((result["verdict"], result["plan"]), ("unreachable", []))
        self.assertEqual((seen["alive"], seen["login"], seen["address"]), (True, "failed", "127.0.0.1"))
        self.assertIn("offers no IPMI 2.0 session", seen["error"])
        self.assertRegex(
            result["sentence"],
            r"^db01: The host could not be looked at: .*answers over the LAN.* nothing is reset\. "
            r"No session with the BMC: 127\.0\.0\.1:\d+: .*offers no IPMI 2\.0 session.*\.$",
        )
        for family in ("f:lock:", "i:db01", "h:db01:intent:"):
            self.assertEqual(self.keys(family), [], "by hand it changes nothing")

    def test_a_silent_bmc_is_waited_for_first(self):
        self.bmc.__exit__()
        ok, result = self.look(host="db01", incident="")
        self.assertIs(ok, True, result)
        self.assertEqual((result["verdict"], result["plan"]), ("booting", []))
        self.assertIs(result["evidence"]["bmc"]["alive"], False)
        self.assertRegex(result["sentence"], r"^db01: The BMC is booting, not hung: ")

    def test_a_password_that_is_not_set_is_a_sentence(self):
        self.action_service.delete_value("bmc_dell", local=False)
        ok, result = self.look(host="db01", incident="")
        self.assertEqual((ok, result["plan"]), (True, []))
        why = r"No session with the BMC: credentials\.dell\.password_key: .*st2 key set bmc_dell --encrypt"
        self.assertRegex(result["sentence"], why)

    def test_a_heal_that_nobody_began_is_not_diagnosed(self):
        ok, result = self.look(host="db01", incident="db01-20261121-104512")
        self.assertEqual((ok, result["error"]), (False, "StateError"))
        self.assertIn("heal db01-20261121-104512 is not to be diagnosed now", result["sentence"])

    def test_an_unknown_host_is_a_sentence(self):
        ok, result = self.look(host="db99", incident="")
        self.assertEqual((ok, result["error"]), (False, "UnknownHostError"))
        self.assertIn("The host 'db99' is not in the configuration", result["sentence"])


class SweepTestCase(Looking, BaseActionTestCase):
    action_cls = Sweep

    def test_the_silent_ones_are_named(self):
        ok, result = self.look()
        self.assertIs(ok, True, result)
        self.assertEqual((result["asked"], result["answered"], result["silent"]), (2, 1, ["db02"]))
        self.assertEqual(result["sentence"], "1 of 2 BMCs answer. Silent: db02.")

    def test_a_label_is_swept_alone(self):
        ok, result = self.look(label="rack:r12")
        self.assertEqual((ok, result["sentence"]), (True, "1 of 1 BMCs answer."))

    def test_a_label_that_nobody_has_is_a_sentence(self):
        ok, result = self.look(label="rack:r99")
        self.assertEqual((ok, result["error"]), (False, "HealerError"))
        self.assertEqual(result["sentence"], "No BMC to sweep with label 'rack=r99'.")
