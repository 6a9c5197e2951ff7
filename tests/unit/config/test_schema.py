"""The schema holds in StackStorm as well as here, and names exactly the settings that exist."""

import subprocess
import sys
from dataclasses import fields

import pytest

from bmc_healer.config import schema
from bmc_healer.config.settings import (
    BmcSettings,
    Credential,
    GuardrailSettings,
    HostSettings,
    LadderSettings,
    NotifyTarget,
    RedfishSettings,
    SshSettings,
    WatchSettings,
)

TOP = schema.sections()["properties"]
HOST = next(iter(TOP["hosts"]["patternProperties"].values()))["properties"]
# What draft 3, draft 4 and StackStorm's own dialect read alike.
SHARED = {
    *("type", "properties", "patternProperties", "additionalProperties", "items", "enum", "pattern"),
    *("minimum", "exclusiveMinimum", "maximum", "required", "description"),
}


def each(node):
    """Every schema inside a schema."""
    yield node
    for key in ("properties", "patternProperties"):
        for inner in node.get(key, {}).values():
            yield from each(inner)
    if isinstance(node.get("items"), dict):
        yield from each(node["items"])


def test_only_keywords_that_every_reader_knows_and_no_defaults():
    for node in each(schema.sections()):
        assert set(node) <= SHARED, node
        if "required" in node:
            assert node["required"] is True
        if node["type"] == "object":
            assert node["additionalProperties"] is False, "an unknown key would pass"


@pytest.mark.parametrize(
    ("properties", "settings", "without"),
    [
        (TOP["watch"]["properties"], WatchSettings, set()),
        (TOP["guardrails"]["properties"], GuardrailSettings, set()),
        (TOP["ladder"]["properties"], LadderSettings, set()),
        (TOP["notify"]["items"]["properties"], NotifyTarget, set()),
        (next(iter(TOP["credentials"]["patternProperties"].values()))["properties"], Credential, set()),
        (HOST, HostSettings, {"name"}),
        (HOST["ssh"]["properties"], SshSettings, set()),
        (HOST["bmc"]["properties"], BmcSettings, set()),
        (HOST["bmc"]["properties"]["redfish"]["properties"], RedfishSettings, set()),
    ],
)
def test_schema_and_dataclasses_name_the_same_settings(properties, settings, without):
    assert set(properties) == {field.name for field in fields(settings)} - without


@pytest.mark.parametrize("settings", [WatchSettings, GuardrailSettings, LadderSettings])
def test_descriptions_name_the_real_default(settings):
    section = {WatchSettings: "watch", GuardrailSettings: "guardrails", LadderSettings: "ladder"}[settings]
    for field in fields(settings):
        text = TOP[section]["properties"][field.name]["description"]
        default = str(field.default).lower() if isinstance(field.default, bool) else field.default
        shown = f"{default:g}" if isinstance(default, int | float) else default
        assert f"Default: {shown}." in text, field.name


def test_checking_loads_no_http_library():
    """jsonschema 2 does, for references to other hosts; afterwards it can be had by who wants it."""
    script = (
        "import sys; from bmc_healer.config import schema; schema.check({}, schema.hosts(), 'x'); "
        "print('requests' in sys.modules); import requests; print(bool(requests.get))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]
