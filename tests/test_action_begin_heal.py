"""begin_heal as StackStorm runs it: it takes the host's lock, or says in a sentence why not."""

from __future__ import annotations

import json
import os
from unittest.mock import patch

import yaml
from begin_heal import BeginHeal
from pause import Pause
from reset_bmc_oob import ResetBmcOob
from resume import Resume
from st2tests.base import BaseActionTestCase

from tests.loopback import Loopback

LOCKS = "bmc_healer:f:lock:"
PASSWORD, TOKEN = "a-pa55word", "t0ken-of-the-action"


class BeginHealTestCase(BaseActionTestCase):
    action_cls = BeginHeal

    def setUp(self):
        super().setUp()
        self.config = yaml.safe_load(self.get_fixture_content("config.yaml"))
        del self.config["hosts"]["db02"]  # no other BMC is swept then
        self.action_service.set_value("bmc_dell", PASSWORD, local=False, encrypt=True)
        self.engine = Loopback("http").__enter__()
        self.addCleanup(self.engine.__exit__)
        url = f"http://127.0.0.1:{self.engine.port}/v1"
        environment = patch.dict(os.environ, ST2_ACTION_API_URL=url, ST2_ACTION_AUTH_TOKEN=TOKEN)
        environment.start()
        self.addCleanup(environment.stop)

    def begin(self, **parameters):
        """(ok, result) of the action; a result is JSON, and holds no secret."""
        given = {"host": "db01", "reason": "a test", "execution": "4711", "source": "person", **parameters}
        ok, result = self.get_action_instance(config=self.config).run(**given)
        for secret in (PASSWORD, TOKEN):
            self.assertNotIn(secret, json.dumps(result))
        return ok, result

    def refused(self, **parameters):
        """The sentence of a heal that does not begin, which is the end of the workflow, not its failure."""
        ok, result = self.begin(**parameters)
        self.assertIs(ok, True, result)
        self.assertEqual((result["outcome"], result["next"], result["incident"]), ("refused", "tell_end", ""))
        self.assertEqual(self.locks(), [])
        return result["sentence"]

    def locks(self):
        return [item.name for item in self.action_service.list_values(local=False, prefix=LOCKS)]

    def test_it_takes_the_lock(self):
        ok, result = self.begin()
        self.assertIs(ok, True, result)
        self.assertRegex(result["incident"], r"^db01-\d{8}-\d{6}$")
        self.assertEqual((result["next"], result["outcome"], result["host"]), ("diagnose", None, "db01"))
        self.assertEqual(result["sentence"], "The heal of db01 begins: a test")
        self.assertEqual(len(self.locks()), 1)

    def test_a_second_one_hears_who_heals(self):
        incident = self.begin()[1]["incident"]
        ok, result = self.begin(force=True)
        self.assertEqual((ok, result["outcome"]), (True, "refused"))
        self.assertRegex(result["sentence"], rf"^It is being healed since .* by .* \(lock: {incident}\)\. ")
        self.assertEqual((result["rule"], result["value"]), ("lock", incident))
        self.assertEqual(len(self.locks()), 1)

    def test_a_step_of_the_heal_waits_for_its_turn(self):
        incident = self.begin()[1]["incident"]
        step = ResetBmcOob(config=self.config, action_service=self.action_service)
        ok, result = step.run(host="db01", incident=incident)
        self.assertEqual((ok, result["error"]), (False, "StateError"))
        self.assertIn(f"reset_out_of_band is not due in heal {incident}", result["sentence"])

    def test_a_paused_host_is_left_alone_until_it_is_resumed(self):
        pause = Pause(config=self.config, action_service=self.action_service)
        pause.run(target="rack:r12", minutes=30, reason="switch work", user="jane")
        sentence = self.refused(force=True)
        said = r"^The label rack:r12 is paused by jane since .*: switch work \(pause: rack=r12\)\."
        self.assertRegex(sentence, said)
        self.assertIn("What to do: bmc resume rack:r12.", sentence)
        Resume(config=self.config, action_service=self.action_service).run(target="rack:r12")
        self.assertEqual(self.begin()[1]["next"], "diagnose")

    def test_without_the_engine_s_clock_nothing_begins(self):
        self.engine.__exit__()
        self.assertIn("The engine's clock cannot be read", self.refused())

    def test_a_sensor_s_heal_is_only_planned_where_the_mode_says_so(self):
        self.config["mode"] = "propose"
        ok, result = self.begin(source="sensor")
        self.assertEqual((ok, result["next"]), (True, "diagnose"))
        self.assertEqual(result["sentence"], "Only a plan is made: mode is propose.")
        self.assertEqual(self.locks(), [])

    def test_an_unknown_host_is_refused_without_its_name(self):
        """StackStorm may have evaluated the text that was typed: it could be a secret's value."""
        for name in ("db99", "pa55word", "10.0.0.9"):
            self.assertEqual(self.refused(host=name), "There is no such host in the configuration.")
        for name in ("", "db01;id", "{{ st2kv.system.x }}", "x" * 300):
            self.assertRegex(self.refused(host=name), r"^That is not a host name\. Give a name from [^{;]*$")

    def test_two_hosts_in_one_text_are_refused(self):
        self.assertEqual(self.refused(asked_host="db02"), "The command names two hosts.")

    def test_an_unknown_rung_is_refused(self):
        self.assertIn("There is no such rung. Choose from inband, unload, oob", self.refused(rungs=["power"]))

    def test_a_configuration_that_is_wrong_is_an_error_with_its_place(self):
        del self.config["mode"]
        ok, result = self.begin()
        self.assertEqual((ok, result["error"]), (False, "ConfigError"))
        self.assertRegex(result["sentence"], r"^the pack's configuration: mode: mode is missing")
        ok, result = self.get_action_instance(config={"mode": "auto", "host": {}}).run(host="db01")
        self.assertEqual((ok, result["error"]), (False, "ConfigError"))
        self.assertIn("unknown key 'host', did you mean 'hosts'?", result["sentence"])
