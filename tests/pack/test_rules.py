"""Every payload that fits a trigger's schema becomes parameters that the rule's action accepts, typed."""

from __future__ import annotations

import pytest
import yaml

from packrunner import parameters, templates, validation
from packrunner.loader import load_pack
from tests.pack.temporary import PACK

THE_PACK = load_pack(PACK)
EXAMPLES = {"string": "db01", "integer": 3, "number": 61.5, "boolean": True, "null": None}


def example(schema, *, every):
    """A value of the schema; `every`: with the optional members."""
    if "enum" in schema:
        return schema["enum"][0]
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    kind = kinds[0] if every else kinds[-1]
    if kind == "object":
        members = schema["properties"].items()
        return {
            name: example(member, every=every) for name, member in members if every or member.get("required")
        }
    if kind == "array":
        return [example(schema["items"], every=every)] * (3 if every else 0)
    return EXAMPLES[kind]


def payloads(trigger):
    """The smallest and the fullest payload, and each value of each enumeration."""
    schema = THE_PACK.triggers[trigger].payload_schema
    for every in (False, True):
        made = example(schema, every=every)
        yield made
        for name, member in schema["properties"].items():
            for value in member.get("enum", ()) if name in made else ():
                yield {**made, name: value}


CASES = [(rule, payload) for rule in THE_PACK.rules.values() for payload in payloads(rule.trigger)]


@pytest.mark.parametrize(("rule", "payload"), CASES, ids=lambda value: getattr(value, "ref", ""))
def test_a_payload_becomes_what_the_action_accepts(rule, payload):
    assert validation.problems(payload, THE_PACK.triggers[rule.trigger].payload_schema) == []
    action = THE_PACK.actions[rule.action]
    context = {"trigger": payload, **templates.datastore_context(lambda key: None)}
    given = parameters.live(action, rule.parameters, context, templated=True)
    assert set(given) == set(rule.parameters)
    for name in ("host", "key", "label", "hosts"):
        assert given.get(name) == (payload[name] if name in given else None), name
    if action.name == "heal_request":
        assert given["source"] == "sensor", "a sensor is held back where a person is not"
        assert given.get("force", False) is False
        reason = given["reason"]
        assert (
            rule.trigger.removeprefix("bmc_healer.") in reason and "None" not in reason and "{" not in reason
        )
        assert "signature" not in payload or payload["signature"] in reason


def test_only_recovery_brings_back_and_resets_nothing():
    by_trigger = {rule.trigger: rule.parameters.get("rungs") for rule in THE_PACK.rules.values()}
    recoveries = {"bmc_healer.bmc.recovered", "bmc_healer.kipmi.recovered"}
    assert {trigger for trigger, rungs in by_trigger.items() if rungs} == recoveries
    assert all(by_trigger[trigger] == ["load"] for trigger in recoveries)


def test_every_trigger_that_asks_for_something_has_one_rule():
    triggers = [rule.trigger for rule in THE_PACK.rules.values()]
    assert sorted(triggers) == sorted(THE_PACK.triggers)
    assert all(rule.enabled and not rule.criteria for rule in THE_PACK.rules.values())


@pytest.mark.parametrize("file", sorted((PACK / "sensors").glob("*.yaml")), ids=lambda file: file.stem)
def test_no_payload_key_is_a_method_of_a_dictionary(file):
    """`{{ trigger.items }}` would be the method, not the value."""
    for trigger in yaml.safe_load(file.read_text())["trigger_types"]:
        assert not [name for name in trigger["payload_schema"]["properties"] if hasattr({}, name)]
