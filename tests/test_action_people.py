"""pause, resume, status and notify as StackStorm runs them."""

from __future__ import annotations

import json

import yaml
from notify import Notify
from pause import Pause
from resume import Resume
from st2tests.base import BaseActionTestCase
from status import Status

from tests.loopback import Loopback

TOKEN = "t0ken-of-the-chat"


class Configured:
    """Runs the case's action, and others on the same datastore. A mix-in."""

    def setUp(self):
        super().setUp()
        self.config = yaml.safe_load(self.get_fixture_content("config.yaml"))

    def run_action(self, action=None, **parameters):
        action = action or self.action_cls
        made = (
            self.get_action_instance(config=self.config)
            if action is self.action_cls
            else action(config=self.config, action_service=self.action_service)
        )
        ok, result = made.run(**parameters)
        self.assertNotIn(TOKEN, json.dumps(result))
        return ok, result

    def refused(self, **parameters):
        ok, result = self.run_action(**parameters)
        self.assertIs(ok, False, result)
        self.assertEqual(set(result), {"sentence", "error"})
        return result["sentence"]


class PauseTestCase(Configured, BaseActionTestCase):
    action_cls = Pause

    def test_a_host_is_paused_for_some_minutes(self):
        ok, result = self.run_action(target="DB01", minutes=30, reason="switch work", user="jane")
        self.assertEqual((ok, result["target"]), (True, "host=db01"))
        self.assertRegex(result["sentence"], r"^db01 is paused until 20\d\d-.* UTC: switch work\.$")
        said = self.run_action(Status, host="db01")[1]["sentence"]
        self.assertRegex(said, r"db01: .* It is paused by jane, until 20.*: switch work\.")

    def test_without_minutes_it_lasts_until_resumed(self):
        for target, typed in (("fleet", "fleet"), ("rack:r12", "rack:r12"), ("rack=r12", "rack:r12")):
            said = self.run_action(target=target)[1]["sentence"]
            self.assertEqual(said, f"{typed} is paused until `bmc resume {typed}`: no reason was given.")

    def test_what_cannot_be_paused_is_refused(self):
        self.assertIn("The host 'db99' is not in the configuration", self.refused(target="db99"))
        self.assertIn("No host has the label 'rack=r99'", self.refused(target="rack:r99"))
        self.assertIn("A credential cannot be paused", self.refused(target="credential:dell"))
        self.assertIn("Minutes must be from 0 to 527040", self.refused(target="fleet", minutes=-1))
        said = self.refused(target="fleet", target_again="db01")  # chat: bmc pause db01 target=fleet
        self.assertEqual(said, "The command names two targets. Nothing was changed.")
        self.assertEqual(self.run_action(Status)[1]["paused"], [])


class ResumeTestCase(Configured, BaseActionTestCase):
    action_cls = Resume

    def test_a_pause_ends(self):
        self.run_action(Pause, target="fleet", user="jane", reason="switch work")
        self.assertEqual(len(self.run_action(Status)[1]["paused"]), 1)
        ok, result = self.run_action(target="fleet")
        self.assertEqual((ok, result["sentence"]), (True, "fleet: the pause is over."))
        self.assertEqual(self.run_action(Status)[1]["paused"], [])

    def test_what_was_not_paused_is_said(self):
        self.assertEqual(self.run_action(target="db01")[1]["sentence"], "db01 was neither paused nor held.")

    def test_a_credential_may_be_used_again(self):
        said = self.run_action(target="credential:dell")[1]["sentence"]
        self.assertEqual(said, "credential:dell: the credential may be used again.")

    def test_what_is_unknown_is_refused(self):
        self.assertIn("There is no 'credential=hp'", self.refused(target="credential:hp"))
        self.assertIn("The host name is empty", self.refused(target=""))
        self.assertIn("two targets", self.refused(target="fleet", target_again="db01"))


class StatusTestCase(Configured, BaseActionTestCase):
    action_cls = Status

    def test_the_fleet(self):
        ok, result = self.run_action()
        self.assertIs(ok, True, result)
        self.assertEqual(result["sentence"], "2 hosts, mode auto. No heal is running.")
        self.assertEqual((result["hosts"], result["healing"], result["incidents"]), (2, [], []))

    def test_a_host(self):
        ok, result = self.run_action(host="db02")
        self.assertEqual((ok, result["sentence"]), (True, "db02: mode auto. No heal of it is known."))

    def test_an_unknown_host_is_refused(self):
        self.assertIn("The host 'db99' is not in the configuration", self.refused(host="db99"))

    def test_a_configuration_without_a_mode_is_refused(self):
        del self.config["mode"]
        self.assertRegex(self.refused(), r"mode is missing.*Write `mode: observe`")

    def test_a_datastore_that_is_down_is_no_empty_one(self):
        self.action_service.list_values = self.unreachable
        self.assertIn("The datastore would not read", self.refused())

    @staticmethod
    def unreachable(**_):
        raise ConnectionError("refused")


class NotifyTestCase(Configured, BaseActionTestCase):
    action_cls = Notify

    def chat(self, port):
        """Where chat is: in a real StackStorm the key is encrypted."""
        url = f"json://healer:{TOKEN}@127.0.0.1:{port}/"
        self.action_service.set_value("bmc_chat", url, local=False, encrypt=True)

    def outbox(self):
        found = self.action_service.list_values(local=False, prefix="bmc_healer:o:")
        return [json.loads(item.value) for item in found if "sentinel" not in item.value]

    def test_chat_is_told(self):
        with Loopback("http") as server:
            self.chat(server.port)
            ok, result = self.run_action(occasion="text", text="The rack is repaired.")
            self.assertEqual((ok, result["delivered"], result["waiting"]), (True, 1, 0))
            self.assertEqual(result["sentence"], "Chat was told (1 of 1).")
            said = json.loads(server.line())["said"]
        self.assertEqual((said["title"], said["message"]), ("bmc_healer", "The rack is repaired."))
        self.assertEqual(self.outbox(), [])

    def test_a_mass_outage_is_one_message(self):
        with Loopback("http") as server:
            self.chat(server.port)
            self.run_action(occasion="mass_outage", label="rack=r12", hosts=["db01", "db02"])
            self.assertEqual(json.loads(server.line())["said"]["title"], "rack=r12: 2 BMCs silent at once")

    def test_what_chat_did_not_hear_waits_without_its_token(self):
        with Loopback("http") as server:
            gone = server.port
        self.chat(gone)
        ok, result = self.run_action(occasion="text", text="The rack is repaired.")
        self.assertEqual((ok, result["delivered"], result["waiting"]), (True, 0, 1))
        self.assertRegex(result["problems"][0], r"^json#[0-9a-f]{8}: ")
        (waiting,) = self.outbox()
        self.assertEqual((waiting["title"], waiting["attempts"]), ("bmc_healer", 1))
        self.assertNotIn(TOKEN, json.dumps(waiting))

    def test_what_waits_is_told_when_its_time_has_come(self):
        self.run_action(occasion="text", text="The rack is repaired.")
        with Loopback("http") as server:
            self.chat(server.port)
            early = self.run_action(occasion="waiting")[1]["sentence"]
            self.assertEqual(early, "Messages that had waited: 0 told, 1 still waiting.")
            (waiting,) = self.outbox()
            key = f"bmc_healer:o:{waiting['id']}:"
            self.action_service.set_value(key, json.dumps(waiting | {"next_try": 0}), local=False)
            ok, result = self.run_action(occasion="waiting")
            self.assertEqual((ok, result["delivered"], result["waiting"]), (True, 1, 0), result)
            self.assertEqual(json.loads(server.line())["said"]["message"], "The rack is repaired.")
        self.assertEqual(self.outbox(), [])

    def test_a_key_that_is_not_set_is_said(self):
        ok, result = self.run_action(occasion="text", text="The rack is repaired.")
        self.assertEqual((ok, result["delivered"]), (True, 0))
        self.assertIn("datastore gives no value for the key 'bmc_chat'", json.dumps(result))

    def test_without_a_chat_it_says_so(self):
        del self.config["notify"]
        self.assertEqual(
            self.run_action(occasion="text", text="x")[1]["sentence"], "No chat is configured (notify)."
        )
