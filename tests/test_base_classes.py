"""What the pack tests beside this one take for granted of st2tests.

Under `st2-run-pack-tests` these cases see StackStorm's own base classes, in `make test` the stand-ins in
tests/standins: what one of them does otherwise is red here.
"""

from __future__ import annotations

from st2common.runners.base_action import Action
from st2reactor.sensor.base import PollingSensor
from st2tests.base import BaseActionAliasTestCase, BaseActionTestCase, BaseSensorTestCase


class Echo(Action):
    def run(self, **parameters):
        return True, parameters


class Beat(PollingSensor):
    def setup(self):
        self.sensor_service.get_logger(name="beat").error("%s is out", "it")

    def poll(self):
        self.sensor_service.dispatch(trigger="bmc_healer.beat", payload={"beat": 1})

    def cleanup(self):
        pass

    add_trigger = update_trigger = remove_trigger = lambda self, trigger: None


class Datastore:
    """As the library calls it; a mix-in, since action and sensor services have it alike."""

    def test_a_key_is_written_read_and_deleted(self):
        store = self.service()
        self.assertIs(store.set_value("k:1:", "one", ttl=5, local=False), True)
        self.assertEqual(store.get_value("k:1:", local=False, decrypt=True), "one")
        self.assertIs(store.delete_value("k:1:", local=False), True)
        self.assertIs(store.delete_value("k:1:", local=False), False)
        self.assertIsNone(store.get_value("k:1:", local=False))

    def test_keys_are_listed_by_plain_prefix(self):
        store = self.service()
        for name in ("k:1:", "k:10:", "l:1:"):
            store.set_value(name, name, ttl=1, local=False)
        found = store.list_values(local=False, prefix="k:1", limit=100, offset=0)
        self.assertEqual({(item.name, item.value) for item in found}, {("k:1:", "k:1:"), ("k:10:", "k:10:")})

    def test_limit_and_offset_are_ignored(self):
        """Unlike StackStorm's own: so a whole answer may come at once, and Store takes it."""
        store = self.service()
        for number in range(120):
            store.set_value(f"k:{number}:", "x", local=False)
        self.assertEqual(len(store.list_values(local=False, prefix="k:", limit=100, offset=99)), 120)

    def test_a_local_key_is_another_key(self):
        store = self.service()
        store.set_value("k", "mine")
        self.assertIsNone(store.get_value("k", local=False))
        self.assertEqual(store.get_value("k"), "mine")
        self.assertEqual([item.value for item in store.list_values(prefix="k")], ["mine"])


class ActionTestCase(Datastore, BaseActionTestCase):
    action_cls = Echo

    def service(self):
        return self.action_service

    def test_an_action_gets_its_configuration_and_its_service(self):
        action = self.get_action_instance(config={"mode": "auto"})
        self.assertEqual(action.config, {"mode": "auto"})
        self.assertIs(action.action_service, self.action_service)
        self.assertEqual(action.run(host="db01"), (True, {"host": "db01"}))

    def test_without_a_configuration_it_is_empty(self):
        self.assertEqual(self.get_action_instance().config, {})

    def test_a_fixture_is_read_from_the_tests_of_the_pack(self):
        self.assertIn("mode: auto", self.get_fixture_content("config.yaml"))


class SensorTestCase(Datastore, BaseSensorTestCase):
    sensor_cls = Beat

    def service(self):
        return self.sensor_service

    def test_a_sensor_gets_its_configuration_and_its_service(self):
        sensor = self.get_sensor_instance(config={"mode": "auto"}, poll_interval=7)
        self.assertEqual((sensor.config, sensor.get_poll_interval()), ({"mode": "auto"}, 7))
        self.assertEqual(self.get_sensor_instance().config, {})

    def test_a_trigger_is_kept(self):
        with self.assertRaises(AssertionError):
            self.assertTriggerDispatched("bmc_healer.beat")
        self.get_sensor_instance().poll()
        self.assertTriggerDispatched("bmc_healer.beat")
        self.assertTriggerDispatched("bmc_healer.beat", payload={"beat": 1})
        for trigger, payload in (("bmc_healer.beat", {"beat": 2}), ("bmc_healer.other", None)):
            with self.assertRaises(AssertionError):
                self.assertTriggerDispatched(trigger, payload=payload)
        last = self.get_last_dispatched_trigger()
        self.assertEqual(last, {"trigger": "bmc_healer.beat", "payload": {"beat": 1}, "trace_context": None})
        self.assertEqual(self.get_dispatched_triggers(), [last])

    def test_what_is_logged_can_be_seen(self):
        self.get_sensor_instance().setup()
        self.sensor_service.set_value("k", "x", ttl=1)
        self.sensor_service.get_logger(name="any").error.assert_called_once_with("%s is out", "it")
        said = "MockDatastoreService is not able to expire keys based on ttl."
        self.sensor_service.get_logger(name="any").warning.assert_called_once_with(said)


class AliasTestCase(BaseActionAliasTestCase):
    action_alias_name = "bmc_pause"

    def test_the_alias_is_read_from_the_pack(self):
        self.assertEqual(self.action_alias_db.name, "bmc_pause")
        self.assertEqual(self.action_alias_db.immutable_parameters, {"user": "{{ api_user }}"})
        self.assertEqual(len(self.action_alias_db.get_format_strings()), 1)

    def test_a_command_matches_one_none_or_two_formats(self):
        self.assertCommandMatchesExactlyOneFormatString(["a b", "a c"], "a c")
        for formats in (["a b"], ["a c", "a {{ x }}"]):
            with self.assertRaises(AssertionError):
                self.assertCommandMatchesExactlyOneFormatString(formats, "a c")

    def test_parameters_are_extracted(self):
        (form,) = self.action_alias_db.get_format_strings()
        db01 = {"target": "db01", "target_again": "db01"}
        short = {**db01, "minutes": "0", "reason": ""}
        self.assertExtractedParametersMatch(form, "bmc pause db01", short)
        expected = {**db01, "minutes": "5", "reason": "a b", "user": "bob"}
        self.assertExtractedParametersMatch(form, "bmc pause db01 5 a b user=bob", expected)
        with self.assertRaises(AssertionError):
            self.assertExtractedParametersMatch(form, "bmc pause db01", {**short, "target": "db02"})
        with self.assertRaises(ValueError):
            self.assertExtractedParametersMatch(form, "bmc pause", {})
        with self.assertRaises(ValueError):
            self.assertExtractedParametersMatch("bmc {{ x }}", "bmc pause", {"x": "pause"})
